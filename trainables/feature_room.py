"""Room on the disk for frozen features: all folders of them share one limit, and leave something to others."""

import contextlib
import errno
import functools
import logging
import os
import shutil
from pathlib import Path

from trainables.feature_file import remove

__all__ = ["evict", "has_room", "make_room", "not_kept", "require_no_room", "size_on_disk"]

SPARE_BYTES = 2**28
"""Room on the disk that features leave to others: a run on the same disk stops where it can't write its own files."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where a file can't grow: the disk or a quota is full, or a file may not be so large."""


def evict(home: Path, limit_bytes: int, newest: Path) -> None:
    """Delete the least recently used features below `home` until they take at most `limit_bytes`; never `newest`.

    Whoever reads a file has copied what it needs.
    """
    files = _files(home)
    _delete(files, newest, sum(size for _, size, _ in files) - limit_bytes)


def make_room(home: Path, path: Path, wanted: int) -> bool:
    """Whether the disk has room for `wanted` bytes more at `path`, a file of features below `home`.

    If there is none, the least recently used other features go, as many as it takes; none where even all of them are
    too few.
    """
    shortage = wanted + SPARE_BYTES - shutil.disk_usage(path.parent).free
    if shortage > 0:
        others = [entry for entry in _files(home) if entry[2] != path]
        if sum(size for _, size, _ in others) >= shortage:
            _delete(others, path, shortage)
            shortage = wanted + SPARE_BYTES - shutil.disk_usage(path.parent).free
    if shortage > 0:
        _tell_no_room(home)
    return shortage <= 0


def has_room(home: Path) -> bool:
    """Whether the disk of `home`, which need not exist yet, has room for any features at all."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    return shutil.disk_usage(there).free > SPARE_BYTES


def require_no_room(error: OSError, home: Path) -> None:
    """Raise `error` unless it says that there is no room on the disk, which is told once."""
    if error.errno not in NO_ROOM:
        raise error
    _tell_no_room(home)


def size_on_disk(status: os.stat_result) -> int:
    """Bytes that a file takes, holes left out where the system counts blocks."""
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else int(blocks) * 512


def _files(home: Path) -> list[tuple[float, int, Path]]:
    """Time of the last use, bytes and path of each file of features below `home`, the least recently used first."""
    found = []
    for file in home.glob("*/*.f32"):
        with contextlib.suppress(FileNotFoundError):
            status = file.stat()
            found.append((status.st_mtime, size_on_disk(status), file))
    return sorted(found)


def _delete(files: list[tuple[float, int, Path]], kept: Path, excess: int) -> None:
    for _, size, file in files:
        if excess <= 0:
            return
        if file != kept and remove(file):
            excess -= size


@functools.cache
def _tell_no_room(home: Path) -> None:
    """Say once a process that features are not kept."""
    logging.getLogger(__name__).warning("%s", not_kept(home))


def not_kept(home: Path) -> str:
    """What a person is told where the disk of `home` has no room."""
    return (
        f"the disk of {home} has no room for features of frozen backbones: they are computed whenever they are needed,"
        " which takes longer; make room there, or set TUNER_CACHE_DIR to another folder"
    )
