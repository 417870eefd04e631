"""The program as a person starts it."""

import os
import subprocess
import sys
from typing import Any


def tuner(*arguments: Any) -> "subprocess.Popen[str]":
    """`python -m tuner` with `arguments`, its output and errors in one pipe."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tuner", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
