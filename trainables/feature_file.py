"""One file of frozen features [n, d] in float32 with a mask of the rows that it holds, read and filled under its lock.

Rows are written with `pwrite` and never through a memory map: where a disk is full, a write raises OSError, whereas a
store into a mapped page that has no room on the disk kills the process with SIGBUS. Rows that nobody has filled take no
room. Reading goes through a read-only map, and only rows that were written are read.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.locks import LockHeld, locked

__all__ = ["FeatureFile", "Gaps", "remove"]

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class FeatureFile:
    """The features of `num_images` images, `width` numbers each, at `path`; the mask lies beside it.

    A new file is empty. Use it within `locked`. What can't be written raises OSError.
    """

    def __init__(self, path: Path, num_images: int, width: int) -> None:
        """Open the files, or make them anew where one is missing or of another size."""
        self.path, self._shape, self._row_bytes = path, (num_images, width), width * 4
        self._mask_path = _mask_of(path)
        for file, size in ((path, num_images * self._row_bytes), (self._mask_path, num_images)):
            if not file.exists() or file.stat().st_size != size:
                self._start(num_images)
                break
        self._mask = np.fromfile(self._mask_path, np.uint8)

    @classmethod
    @contextlib.contextmanager
    def locked(cls, path: Path, num_images: int, width: int) -> Iterator["FeatureFile"]:
        """The file, its folder made and its lock held; a process that dies does not keep the lock."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(_lock_of(path)):
            yield cls(path, num_images, width)

    def holds(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which of `rows` are filled in."""
        filled: npt.NDArray[np.bool_] = self._mask[rows] != 0
        return filled

    def read(self, rows: Rows) -> Floats:
        """The features [len(rows), width] of `rows`, all of which the file holds; notes that it is in use."""
        os.utime(self.path)
        if len(rows) == 0:
            return np.empty((0, self._shape[1]), np.float32)
        found: Floats = np.memmap(self.path, np.float32, "r", shape=self._shape)[rows]
        return found

    def write(self, rows: Rows, features: Floats) -> None:
        """Write `features` [len(rows), width] of the ascending `rows`; `vouch` makes them count."""
        with self.path.open("r+b", buffering=0) as file:
            ends = np.flatnonzero(np.diff(rows) != 1) + 1
            for run in np.split(np.arange(len(rows)), ends):
                part = features[run[0] : run[-1] + 1].astype(np.float32, copy=False)
                _write_all(file.fileno(), part.tobytes(), int(rows[run[0]]) * self._row_bytes)

    def vouch(self, rows: Rows) -> None:
        """Say that `rows` are filled in, once they have reached the disk."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        self._mask[rows] = 1
        with self._mask_path.open("r+b", buffering=0) as file:
            _write_all(file.fileno(), self._mask.tobytes(), 0)
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Delete the file, so that it takes no room; the lock must be held."""
        self._mask_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def _start(self, num_images: int) -> None:
        """Make empty files; the mask without a row is there before the features have their length."""
        self.discard()
        try:
            self._mask_path.write_bytes(bytes(num_images))
            with self.path.open("wb") as fresh:
                fresh.truncate(num_images * self._row_bytes)
        except OSError:
            self.discard()
            raise


class Gaps:
    """The rows to compute for an array of features, ascending and each once, and where in the array each belongs."""

    def __init__(self, rows: Rows, known: npt.NDArray[np.bool_]) -> None:
        """Those of `rows` [n] that are not `known` [n]; a row may stand there several times."""
        wanted = np.flatnonzero(~known)
        self.rows, number = np.unique(rows[wanted], return_inverse=True)
        order = np.argsort(number, kind="stable")
        self._places, self._numbers = wanted[order], number[order]

    def put(self, found: Floats, start: int, values: Floats) -> None:
        """Put `values`, the features of the rows from number `start` on, into `found` wherever they belong."""
        begin, end = np.searchsorted(self._numbers, [start, start + len(values)])
        found[self._places[begin:end]] = values[self._numbers[begin:end] - start]


def remove(path: Path) -> bool:
    """Delete a file of features unless somebody holds its lock; whether it is gone."""
    try:
        with locked(_lock_of(path), timeout_s=0):
            _mask_of(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            return True
    except LockHeld:
        return False


def _mask_of(path: Path) -> Path:
    return path.with_suffix(".mask")


def _lock_of(path: Path) -> str:
    return f"{path}.lock"


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of `content` from `offset` on; a disk that fills up may take a part of it before it raises."""
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
