import contextlib
import io
import os
import sys
from types import SimpleNamespace

import pytest

from tuner.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """What the program answers to words in this process, from `tmp_path`: its exit status, output and errors."""

    def answer(*words):
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        monkeypatch.setattr(sys, "argv", ["tuner", *map(str, words)])
        with (
            pytest.raises(SystemExit) as ended,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main()
        said = [stream.buffer.getvalue().decode() for stream in (out, err)]
        return SimpleNamespace(returncode=ended.value.code, stdout=said[0], stderr=said[1])

    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "OMP_NUM_THREADS"):
        # Put back afterwards, should the program change it.
        monkeypatch.setenv(name, os.environ.get(name, str(tmp_path)))
    return answer
