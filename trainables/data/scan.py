"""What is in an image folder: classes, images, and everything that was passed over, with the reason."""

import hashlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainables.data import cache_home
from trainables.data.decode import (
    Pixels,
    UnreadableImage,
    quiet_decoding,
    read_rgb,
)
from trainables.data.labels import lay_out_table
from trainables.data.layout import EXPECTED, Found, lay_out
from trainables.data.parallel import in_threads, num_workers
from trainables.data.perceptual import hash_of
from trainables.errors import DataProblem
from trainables.words import some

__all__ = ["ImageFile", "Progress", "Scan", "UnreadableImage", "pixel_hash", "read_rgb", "scan"]

Progress = Callable[[int, int], None]
"""Called with the number of images done and of all images."""


class Onlooker(Protocol):
    """Sees pictures while a scan has them decoded, so that nobody decodes them again."""

    def choose(self, paths: Sequence[str]) -> Collection[str]:
        """Which of the images that the scan is going to decode it wants to see."""

    def see(self, path: str, file: Path, pixels: Pixels) -> None:
        """Called in several threads, with the upright picture uint8 [h, w, 3] of `path`, which was read from `file`."""


MAX_CORRUPT = 0.05
"""Share of corrupt images from which a folder is refused."""

_MEMO_VERSION = 2


@dataclass(frozen=True)
class ImageFile:
    """One readable image.

    `path` is relative to the folder, with forward slashes; `part` is train, val or test where the folder
    is split already; `width` and `height` are those of the upright picture; `pixels` is its hash, `look` the perceptual
    one, which copies of another size or quality nearly share.
    """

    path: str
    label: str
    part: str | None
    width: int
    height: int
    pixels: str
    look: str = ""


@dataclass(frozen=True)
class Scan:
    """The content of an image folder.

    `classes` are those with images, in natural order; `images` are ordered by path. `passed_over` and
    `corrupt` are pairs of path and reason. `parts` are pairs of folder and part (train, val, test) where the
    folder is split already. `labels` is the table that the labels are from, None for folders; `left_out` are images
    that were asked to be left out.
    """

    folder: Path
    classes: tuple[str, ...]
    images: tuple[ImageFile, ...]
    passed_over: tuple[tuple[str, str], ...]
    corrupt: tuple[tuple[str, str], ...]
    empty_classes: tuple[str, ...]
    parts: tuple[tuple[str, str], ...] = ()
    labels: Path | None = None
    left_out: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Hash of every image's path, label and pixels, wherever the folder lies; 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update("\0".join((image.path, image.label, image.part or "", image.pixels, "")).encode())
        return digest.hexdigest()[:16]


def scan(
    folder: Path,
    *,
    labels: Path | None = None,
    without: Collection[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
    memo: bool = True,
    max_corrupt: float = MAX_CORRUPT,
    onlooker: Onlooker | None = None,
) -> Scan:
    """What is in `folder`, every image decoded once, before the eyes of `onlooker`.

    With `labels` a table says which files are images and of which class, else the folders do. Of the paths `without`
    those that are there are left out.

    With `memo` the results are kept under the user's cache directory, so that unchanged files (by path, size
    and time) need no second look. Raises DataProblem if there is no such folder, if a folder can't be opened or
    understood, if fewer than two classes have images, or if more than the share `max_corrupt` of the images can't
    be read.
    """
    folder = folder.expanduser().absolute()
    if labels is not None:
        labels = labels.expanduser().absolute()
    layout = lay_out(folder) if labels is None else lay_out_table(folder, labels)
    unwanted = frozenset(without)
    found = [file for file in layout.found if file.path not in unwanted]
    left_out = tuple(file.path for file in layout.found if file.path in unwanted)
    looks = _look_at_all(folder, found, num_workers(workers), progress, memo, onlooker)
    images, corrupt = [], []
    for file, look in zip(found, looks, strict=True):
        if isinstance(look, str):
            corrupt.append((file.path, look))
        else:
            images.append(ImageFile(file.path, file.label, file.part, *look))
    _check_corrupt(folder, len(found), corrupt, max_corrupt)
    counts = Counter(image.label for image in images)
    classes = tuple(sorted(counts, key=_natural))
    _require_two(classes, folder, labels)
    empty = tuple(sorted((label for label in layout.labels if label not in counts), key=_natural))
    return Scan(
        folder,
        classes,
        tuple(images),
        layout.passed_over,
        tuple(corrupt),
        empty if labels is None else (),
        layout.parts,
        labels,
        left_out,
    )


def _require_two(classes: tuple[str, ...], folder: Path, labels: Path | None) -> None:
    """Raise DataProblem where there are fewer than two classes to tell apart."""
    if len(classes) >= 2:
        return
    if labels is not None:
        only = f"only images of {classes[0]!r}" if classes else "no image"
        raise DataProblem(
            f"labels file {labels} names {only} that can be read; at least two classes are needed"
        )
    only = f"only {classes[0]!r} holds images" if classes else "no class folder holds an image"
    raise DataProblem(f"{folder}: {only}; {EXPECTED}, at least two classes")


def pixel_hash(pixels: Pixels) -> str:
    """Hash of an image's size and RGB values, 32 hexadecimal digits."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(pixels.tobytes())
    return digest.hexdigest()


def changed_images(folder: Path, hashes: Mapping[str, str]) -> list[str]:
    """Which of the images of `hashes` (path to pixel hash) below `folder` are gone or look different now.

    Other images of the folder are not read; files that the last scan saw with the same size and time are
    not decoded again.
    """
    folder = folder.expanduser().absolute()
    known = _read_memo(_memo_of(folder))

    def pixels_now(path: str) -> str | None:
        try:
            status = (folder / path).stat()
        except OSError:
            return None
        look = known.get(f"{status.st_size}:{status.st_mtime_ns}:{path}") or _look(folder / path)
        return None if isinstance(look, str) else look[2]

    with quiet_decoding():
        found = in_threads(pixels_now, hashes, num_workers(None))
        return [path for (path, before), now in zip(hashes.items(), found, strict=True) if now != before]


def _memo_of(folder: Path) -> Path:
    return cache_home() / "scans" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}.json"


def _check_corrupt(folder: Path, total: int, corrupt: list[tuple[str, str]], limit: float) -> None:
    if len(corrupt) > limit * total:
        first = some((reason for _, reason in corrupt), between="; ")
        raise DataProblem(
            f"{folder}: {len(corrupt)} of {total} images can't be read, more than {limit:.0%};"
            f" mend or remove them. The first: {first}"
        )


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    pieces = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in pieces], name


_Look = tuple[int, int, str, str]
"""Width, height, pixel hash and perceptual hash."""


def _look(path: Path, see: Callable[[Pixels], None] | None = None) -> _Look | str:
    """What decoding says, or why it can't be done; `see` is shown the picture."""
    try:
        pixels = read_rgb(path)
    except UnreadableImage as error:
        return str(error)
    if see is not None:
        see(pixels)
    return pixels.shape[1], pixels.shape[0], pixel_hash(pixels), hash_of(pixels)


def _look_at_all(
    folder: Path,
    found: Sequence[Found],
    workers: int,
    progress: Progress | None,
    memo: bool,
    onlooker: Onlooker | None,
) -> list[_Look | str]:
    store = _memo_of(folder)
    known = _read_memo(store) if memo else {}
    looks: dict[str, _Look | str] = {}
    for file in found:
        if (kept := known.get(f"{file.size}:{file.mtime_ns}:{file.path}")) is not None:
            looks[file.path] = kept
    rest = [file.path for file in found if file.path not in looks]
    seen = frozenset() if onlooker is None else frozenset(onlooker.choose(rest))

    def look_at(path: str) -> _Look | str:
        file = folder / path
        if onlooker is None or path not in seen:
            return _look(file)
        return _look(file, lambda pixels: onlooker.see(path, file, pixels))

    with quiet_decoding():
        done = in_threads(look_at, rest, workers)
        for count, (path, look) in enumerate(zip(rest, done, strict=True), start=len(looks) + 1):
            looks[path] = look
            if progress:
                progress(count, len(found))
    if memo and rest:
        _write_memo(store, found, looks)
    return [looks[file.path] for file in found]


def _read_memo(store: Path) -> dict[str, _Look]:
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
        if content["version"] != _MEMO_VERSION:
            return {}
        looks = content["looks"].items()
        return {key: (int(w), int(h), str(pixels), str(look)) for key, (w, h, pixels, look) in looks}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_memo(store: Path, found: Sequence[Found], looks: Mapping[str, _Look | str]) -> None:
    kept = {
        f"{f.size}:{f.mtime_ns}:{f.path}": looks[f.path] for f in found if not isinstance(looks[f.path], str)
    }
    temporary = store.with_name(f".{store.name}.{uuid.uuid4().hex[:8]}.tmp")
    # a memo is a convenience: a full or read-only disk costs the next scan time and nothing else
    with suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps({"version": _MEMO_VERSION, "looks": kept}), encoding="utf-8")
            temporary.replace(store)
        finally:
            temporary.unlink(missing_ok=True)
