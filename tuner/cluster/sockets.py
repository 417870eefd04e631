"""A folder for a Ray of one's own that its Unix sockets fit into, whatever TMPDIR says.

The path of a Unix socket has 107 bytes at most on Linux and 103 on macOS, and Ray itself takes 76 of them below
its folder. Schedulers set a TMPDIR that leaves too few.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trainables.errors import ClusterProblem
from tuner.runs.hardware import usual_ray_folder

__all__ = ["fits", "ray_folder"]

BELOW = "/session_2026-01-01_00-00-00_000000_4194304/sockets/dash_TaskEventsHead"
"""The longest socket that Ray has below its folder, at the largest process number of a 64-bit Linux."""

SHORT = ("/tmp", "/var/tmp", "/dev/shm")
"""Where short folders can be, in this order."""


@contextlib.contextmanager
def ray_folder() -> Iterator[str | None]:
    """None where Ray's usual folder will do, else a short and private one that is removed at the end.

    Raises ClusterProblem if there is no such place.
    """
    usual = usual_ray_folder()
    if fits(usual) and _writable(usual):
        yield None
        return
    folder = _short_folder(usual)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fits(folder: Path) -> bool:
    """Whether the paths of Ray's sockets below `folder` are short enough."""
    most = 103 if sys.platform == "darwin" else 107
    return folder.is_absolute() and len(os.fsencode(str(folder) + BELOW)) <= most


def _short_folder(usual: Path) -> str:
    for place in SHORT:
        with contextlib.suppress(OSError):
            folder = tempfile.mkdtemp(prefix="tuner-", dir=place)
            if fits(Path(folder)):
                return folder
            Path(folder).rmdir()
    raise ClusterProblem(
        f"Ray's sockets can't be in {usual}, which is too long or can't be written, and neither in"
        f" {', '.join(SHORT)}; set TMPDIR to a short folder that can be written"
    )


def _writable(folder: Path) -> bool:
    """Whether `folder`, or the nearest one above it that is there, can be written."""
    with contextlib.suppress(OSError):
        nearest = next(one for one in (folder, *folder.parents) if one.exists())
        return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return False
