"""A disk of a few MB for one command, in a mount namespace of its own: it is really full, and gone with the command."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def run_with_small_disk(
    command: Sequence[str], folder: Path, size: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """`command` with a disk of `size` ("8m") mounted on `folder`; skips the test where nobody may mount one."""
    if not _may_mount():
        pytest.skip("this user may not mount a file system, not even in a namespace of its own")
    folder.mkdir(parents=True, exist_ok=True)
    mounted = ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", size, str(folder), *command]
    return subprocess.run(
        mounted, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


def python(script: str) -> list[str]:
    """The command that runs `script`."""
    return [sys.executable, "-c", script]


@cache
def _may_mount() -> bool:
    try:
        tried = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True
        )
    except OSError:
        return False
    return tried.returncode == 0
