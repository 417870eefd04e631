"""Every image decoded and shrunk once: uint8, back to back in one memory-mapped file that all trials read.

    header    64 bytes: magic, number of images, where the index lies, its hash
    pixels    height x width x 3 bytes an image, in the order of the index
    index     heights, widths, checksums of the pixels, paths

Pictures are stored as `preprocessing.fitted` leaves them. Of `crop` the short side is 8/7 of the training size and the
aspect is kept, so cropping loses nothing at the edges; those of `squash` and `pad` are squares of the training size.
"""

import hashlib
import mmap
import os
import struct
import uuid
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from trainables.config import CROP
from trainables.data import cache_home
from trainables.data.decode import Pixels, quiet_decoding, read_picture, read_rgb
from trainables.data.deep import is_hash, plain_hash, scale_in
from trainables.data.parallel import Progress, num_workers
from trainables.data.preprocessing import cache_side, fitted
from trainables.data.processes import in_processes
from trainables.errors import DataProblem
from trainables.locks import locked
from trainables.wording import printable

__all__ = ["CacheDamaged", "ImageCache", "build_cache"]

_VERSION = 1
_MAGIC = b"TUNERIMG"
_HEADER = struct.Struct("<8sIIQQ32s")
_CHECKED_BYTES = 2**29


class CacheDamaged(DataProblem):
    """A cache file is truncated, overwritten or of another version; building it again mends it."""


class ImageCache:
    """The images of a cache file, read without a copy."""

    def __init__(self, path: Path, data: Pixels, shapes: npt.NDArray[np.int64], paths: Sequence[str]) -> None:
        """Hold `data`, the mapped file, and its index; see `open`."""
        self.path = path
        self.paths = tuple(paths)
        self.shapes = shapes
        self._data = data
        ends = _HEADER_SIZE + np.cumsum(shapes.prod(axis=1) * 3)
        self._spans = [
            (int(end - 3 * height * width), int(end), int(height), int(width))
            for end, (height, width) in zip(ends, shapes, strict=True)
        ]
        self._rows = {name: row for row, name in enumerate(self.paths)}

    @classmethod
    def open(cls, path: Path | str) -> "ImageCache":
        """The images in `path`; raises CacheDamaged if its header, length or index are not as written."""
        cache, _ = _open(Path(path))
        return cache

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Pixels:
        """The picture of a row: uint8 [h, w, 3], a read-only view of the file."""
        start, end, height, width = self._spans[row]
        return self._data[start:end].reshape(height, width, 3)

    @property
    def pixels(self) -> Pixels:
        """All pictures back to back: uint8 [p, 3], a read-only view of the file; `places` says where each lies."""
        end = self._spans[-1][1] if self._spans else _HEADER_SIZE
        return self._data[_HEADER_SIZE:end].reshape(-1, 3)

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """Of each picture where it begins in `pixels`, its height and width: [n, 3]."""
        begin = [(start - _HEADER_SIZE) // 3 for start, *_ in self._spans]
        return np.column_stack([np.array(begin, dtype=np.int64), self.shapes])

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageCache.open, (self.path,)

    def rows(self, paths: Sequence[str]) -> npt.NDArray[np.int64]:
        """The row of each of `paths`; raises DataProblem for one that is not in the cache."""
        unknown = [path for path in paths if path not in self._rows]
        if unknown:
            raise DataProblem(
                f"{self.path} lacks {len(unknown)} images, the first {unknown[0]!r}; build it again"
            )
        return np.array([self._rows[path] for path in paths], dtype=np.int64)


def build_cache(
    folder: Path,
    paths: Sequence[str],
    hashes: Sequence[str],
    image_size: int,
    *,
    fit: str = CROP,
    cache_dir: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """The cache file of `paths` (relative to `folder`, with their pixel hashes), built unless it is there.

    The name follows from paths, pixels, size and `fit`, so a changed image means another file. The hashes say at which
    levels pictures of more than eight bits are read. A second builder waits for the first. Memory stays at a few images
    a worker. Raises DataProblem when an image can't be read or is not the one of its hash, or where the file can't be
    written.
    """
    place = (cache_dir or cache_home()) / "images"
    side = cache_side(image_size, fit)
    path = place / f"{_key(paths, hashes, image_size, fit)}-{side}px.images"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with locked(f"{path}.lock"):
            if not _is_sound(path):
                wanted = list(zip(paths, hashes, strict=True))
                _build(path, folder, wanted, (side, fit), num_workers(workers), progress)
    except OSError as error:
        raise DataProblem(
            f"the image cache {path} can't be written: {error.strerror or error};"
            " make room there, or set TUNER_CACHE_DIR to another folder"
        ) from error
    return path


def _key(paths: Sequence[str], hashes: Sequence[str], image_size: int, fit: str) -> str:
    # crop is not said: caches from before there was anything else stay valid
    how = [_VERSION, image_size] if fit == CROP else [_VERSION, image_size, fit]
    digest = hashlib.sha256(" ".join(map(str, how)).encode())
    for path, pixels in zip(paths, hashes, strict=True):
        digest.update(f"\0{path}\0{pixels}".encode())
    return digest.hexdigest()[:24]


def _build(
    path: Path,
    folder: Path,
    wanted: Sequence[tuple[str, str]],
    shape: tuple[int, str],
    workers: int,
    progress: Progress | None,
) -> None:
    """Write the images of `wanted`, pairs of path and hash, as `fitted` makes them of `shape`, side and fit."""
    for stale in path.parent.glob(f".{path.name}.*.tmp"):
        stale.unlink()  # of a builder that was killed: the lock is ours
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file, quiet_decoding():
            file.write(bytes(_HEADER_SIZE))
            shapes, sums = [], []
            for pixels in in_processes(partial(_fitted, folder, *shape), wanted, workers):
                file.write(pixels.data)
                shapes.append(pixels.shape[:2])
                sums.append(zlib.crc32(pixels.data))
                if progress:
                    progress(len(shapes), len(wanted))
            names = [name for name, _ in wanted]
            _write_index(file, np.array(shapes, dtype="<i8"), np.array(sums, dtype="<u4"), names)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _fitted(folder: Path, side: int, fit: str, wanted: tuple[str, str]) -> Pixels:
    return fitted(_of_hash(folder, *wanted), side, fit)


def _of_hash(folder: Path, name: str, expected: str) -> Pixels:
    """The picture in a file at the levels that its hash says.

    Raises DataProblem if it is another picture than that of the hash; what is no hash of a scan is not compared.
    """
    picture = read_picture(folder / name)
    if is_hash(expected) and picture.hash != plain_hash(expected):
        raise DataProblem(
            f"{printable(folder / name)} is not the picture that it was when the images were read; restore it, or start"
            " anew"
        )
    if picture.kind is None:
        return picture.samples
    levels = scale_in(expected).get(picture.kind)
    return read_rgb(folder / name) if levels is None else picture.rgb(levels)


# ---- the file


_HEADER_SIZE = 64


def _write_index(file: BinaryIO, shapes: Any, sums: Any, paths: Sequence[str]) -> None:
    index = shapes.tobytes() + sums.tobytes() + "\0".join(paths).encode()
    start = file.tell()
    file.write(index)
    file.seek(0)
    digest = hashlib.sha256(index).digest()
    file.write(_HEADER.pack(_MAGIC, _VERSION, len(paths), start, len(index), digest))


def _open(path: Path) -> tuple[ImageCache, npt.NDArray[np.uint32]]:
    """The images and the checksums of their pixels."""
    try:
        with path.open("rb") as file:
            data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise CacheDamaged(f"image cache {path} can't be opened: {error}; build it again") from error
    damaged = CacheDamaged(f"image cache {path} is damaged or of another version; build it again")
    if len(data) < _HEADER_SIZE:
        raise damaged
    magic, version, count, start, length, digest = _HEADER.unpack(data[: _HEADER.size].tobytes())
    index = data[start : start + length].tobytes()
    whole = len(data) == start + length and hashlib.sha256(index).digest() == digest
    if magic != _MAGIC or version != _VERSION or not whole:
        raise damaged
    shapes = np.frombuffer(index, "<i8", 2 * count).reshape(count, 2).astype(np.int64)
    sums = np.frombuffer(index, "<u4", count, offset=16 * count).astype(np.uint32)
    if _HEADER_SIZE + int(shapes.prod(axis=1).sum()) * 3 != start:
        raise damaged
    return ImageCache(path, data, shapes, index[20 * count :].decode().split("\0")), sums


def _is_sound(path: Path) -> bool:
    """Whether there is a cache with its pixels as written; of a large one a sample is checked."""
    if not path.exists():
        return False
    try:
        cache, sums = _open(path)
    except CacheDamaged:
        return False
    step = max(1, -(-path.stat().st_size // _CHECKED_BYTES))
    return all(zlib.crc32(cache[row].data) == sums[row] for row in range(0, len(cache), step))
