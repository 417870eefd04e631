"""The SHA-256 of a file's content, computed once a process for each state of the file."""

import hashlib
import os
import time
from pathlib import Path

__all__ = ["file_digest"]

SETTLED_NS = 2 * 10**9
"""A file that changed less than this ago is hashed again the next time: within one step of the file system's clock a
second change leaves no trace in size and times."""

State = tuple[int, int, int, int, int]

_KNOWN: dict[str, tuple[State, str]] = {}


def file_digest(path: Path) -> str:
    """The SHA-256 of `path` in hexadecimal digits; raises OSError if it can't be read.

    A file whose device, inode, size and times of modification and change are as before is not read again.
    """
    key, state = str(path.absolute()), _state(path)
    known = _KNOWN.get(key)
    if known is not None and known[0] == state:
        return known[1]
    asked = time.time_ns()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if state == _state(path) and asked - max(state[3:]) > SETTLED_NS:
        _KNOWN[key] = (state, digest)
    return digest


def _state(path: Path) -> State:
    status: os.stat_result = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
