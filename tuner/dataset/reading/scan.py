"""What is in an image folder: classes, images, and everything that was passed over, with the reason."""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from trainables.data.decode import Pixels, UnreadableImage, pixel_hash, quiet_decoding, read_rgb
from trainables.data.deep import Levels, Scale, hash_with, plain_hash, settle
from trainables.data.parallel import Progress, num_workers
from trainables.data.processes import in_processes
from trainables.errors import DataProblem
from trainables.wording import some
from tuner.dataset.reading.labels import NOT_LISTED, alike, lay_out_table
from tuner.dataset.reading.layout import EXPECTED, Found, Layout, lay_out
from tuner.dataset.reading.memo import Look, key, known_looks, look_at_file, look_known, remember
from tuner.dataset.reading.table import Paths

__all__ = ["ImageFile", "Scan", "UnreadableImage", "pixel_hash", "read_rgb", "scan"]


class Onlooker(Protocol):
    """Sees pictures while a scan has them decoded, so that nobody decodes them again."""

    @property
    def measure(self) -> Callable[[Path, Pixels], Any]:
        """What it notes of a file and its upright picture uint8 [h, w, 3]; picklable, since processes may call it."""

    def choose(self, paths: Sequence[str]) -> Collection[str]:
        """Which of the images that the scan is going to decode it wants to see."""

    def note(self, path: str, measured: Any) -> None:
        """Take what was measured of the image `path`."""


MAX_CORRUPT = 0.05
"""Share of corrupt images from which a folder is refused."""


@dataclass(frozen=True)
class ImageFile:
    """One readable image.

    `path` is relative to the folder, with forward slashes; `part` is train, val or test where the folder
    is split already; `width` and `height` are those of the upright picture; `pixels` is its hash, for a picture of more
    than eight bits with the levels at which it is read (see `deep`); `look` is the perceptual hash, which copies of
    another size or quality nearly share. `several` says that the file holds further frames or pages.
    """

    path: str
    label: str
    part: str | None
    width: int
    height: int
    pixels: str
    look: str = ""
    several: bool = False


@dataclass(frozen=True)
class Scan:
    """The content of an image folder.

    `classes` are those with images, in natural order; `images` are ordered by path. `passed_over` and
    `corrupt` are pairs of path and reason. `parts` are pairs of folder and part (train, val, test) where the
    folder is split already. `labels` is the table that the labels are from, None for folders; `left_out` are images
    that were asked to be left out. `scale` has the levels of all pictures of more than eight bits, `own_scale` those
    that these pictures would have by themselves, `deep` the number of such pictures by kind.
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
    scale: Mapping[str, Levels] = field(default_factory=dict)
    own_scale: Mapping[str, Levels] = field(default_factory=dict)
    deep: Mapping[str, int] = field(default_factory=dict)

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
    scale: Scale | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    memo: bool = True,
    max_corrupt: float = MAX_CORRUPT,
    onlooker: Onlooker | None = None,
) -> Scan:
    """What is in `folder`, every image decoded once, before the eyes of `onlooker`.

    With `labels` a table says which files are images and of which class, else the folders do. Of the paths `without`
    those that are there are left out. Pictures of more than eight bits are read at `scale`, that of an earlier search;
    kinds that it lacks get the scale that all pictures of the kind settle.

    With `memo` the results are kept under the user's cache directory, so that unchanged files (see `memo`) need no
    second look. Raises DataProblem if there is no such folder, if a folder can't be opened or
    understood, if fewer than two classes have images, or if more than the share `max_corrupt` of the images can't
    be read.
    """
    began_ns = time.time_ns()
    folder = folder.expanduser().absolute()
    if labels is not None:
        labels = labels.expanduser().absolute()
    layout = lay_out(folder) if labels is None else lay_out_table(folder, labels)
    written = Paths({file.path for file in layout.found})
    unwanted = {written.meant(path) for path in without}
    found = [file for file in layout.found if file.path not in unwanted]
    left_out = tuple(file.path for file in layout.found if file.path in unwanted)
    looks = _look_at_all(folder, found, num_workers(workers), progress, began_ns if memo else None, onlooker)
    corrupt = [(file.path, look) for file, look in zip(found, looks, strict=True) if isinstance(look, str)]
    hint = _hint(layout, corrupt, labels)
    _check_corrupt(labels or folder, len(found), corrupt, max_corrupt, hint)
    readable = [(file, look) for file, look in zip(found, looks, strict=True) if isinstance(look, Look)]
    counts = Counter(file.label for file, _ in readable)
    classes = tuple(sorted(counts, key=_natural))
    _require_two(classes, folder, labels, len(found), corrupt, hint)
    empty = tuple(sorted((label for label in layout.labels if label not in counts), key=_natural))
    whole = Scan(
        folder,
        classes,
        (),
        layout.passed_over,
        tuple(corrupt),
        empty if labels is None else (),
        layout.parts,
        labels,
        left_out,
    )
    return _with_images(whole, readable, scale or {})


def _with_images(scan: Scan, readable: Sequence[tuple[Found, Look]], given: Scale) -> Scan:
    """`scan` with its `readable` images, deep ones at the scale `given` or, for kinds that it lacks, at their own."""
    extents = [look.extent for _, look in readable if look.extent is not None]
    own = settle(extents)
    used = {kind: given.get(kind, levels) for kind, levels in own.items()}
    return replace(
        scan,
        images=tuple(_image(file, look, used) for file, look in readable),
        scale=used,
        own_scale=own,
        deep=dict(Counter(extent.kind for extent in extents)),
    )


def _look_at(
    folder: Path, measure: Callable[[Path, Pixels], Any] | None, wanted: tuple[str, bool]
) -> tuple[Look | str, list[Any]]:
    """The look at one path, and what was measured of it, if it shall be and can."""
    path, seen = wanted
    noted: list[Any] = []
    if measure is None or not seen:
        return look_at_file(folder / path), noted
    return look_at_file(folder / path, lambda pixels: noted.append(measure(folder / path, pixels))), noted


def _image(file: Found, look: Look, scale: Scale) -> ImageFile:
    """A readable file, the hash of a deep picture with its levels."""
    pixels = look.pixels
    if look.extent is not None:
        pixels = hash_with(pixels, look.extent.kind, scale[look.extent.kind])
    return ImageFile(
        file.path, file.label, file.part, look.width, look.height, pixels, look.look, look.several
    )


def _hint(layout: Layout, corrupt: Sequence[tuple[str, str]], labels: Path | None) -> str:
    """What the first path that a table names in vain may mean; empty without one."""
    if labels is None or not corrupt:
        return ""
    meant = alike(corrupt[0][0], [path for path, reason in layout.passed_over if reason == NOT_LISTED])
    return "" if meant is None else f"; did you mean {meant!r}?"


def _require_two(
    classes: tuple[str, ...],
    folder: Path,
    labels: Path | None,
    total: int,
    corrupt: Sequence[tuple[str, str]],
    hint: str,
) -> None:
    """Raise DataProblem where there are fewer than two classes to tell apart."""
    if len(classes) >= 2:
        return
    if labels is not None:
        only = f"only images of {classes[0]!r}" if classes else "no image"
        lost = (
            f"; of the {total} images that it names, {len(corrupt)} can't be read; paths are relative to {folder}."
            f" The first: {corrupt[0][1]}{hint}"
            if corrupt
            else ""
        )
        raise DataProblem(
            f"labels file {labels} names {only} that can be read; at least two classes are needed{lost}"
        )
    only = f"only {classes[0]!r} holds images" if classes else "no class folder holds an image"
    raise DataProblem(f"{folder}: {only}; {EXPECTED}, at least two classes")


def changed_images(folder: Path, hashes: Mapping[str, str]) -> list[str]:
    """Which of the images of `hashes` (path to pixel hash) below `folder` are gone or look different now.

    Other images of the folder are not read; files that the last scan saw as they are now (see `memo`) are not decoded
    again.
    """
    folder = folder.expanduser().absolute()
    known = known_looks(folder)

    looks: dict[str, Look | str] = {}
    for path in hashes:
        if (look := look_known(known, folder, path)) is not None:
            looks[path] = look
    rest = [(path, False) for path in hashes if path not in looks]
    with quiet_decoding():
        done = in_processes(partial(_look_at, folder, None), rest, num_workers(None))
        for (path, _), (seen, _) in zip(rest, done, strict=True):
            looks[path] = seen
    return [path for path, before in hashes.items() if _pixels(looks[path]) != plain_hash(before)]


def _pixels(look: Look | str) -> str | None:
    return None if isinstance(look, str) else look.pixels


def _check_corrupt(
    source: Path, total: int, corrupt: Sequence[tuple[str, str]], limit: float, hint: str
) -> None:
    """Raise DataProblem if too many of the images that `source`, a folder or a table, names can't be read."""
    if len(corrupt) > limit * total:
        first = some((reason for _, reason in corrupt), between="; ")
        raise DataProblem(
            f"{source}: {len(corrupt)} of {total} images can't be read, more than {limit:.0%};"
            f" mend or remove them. The first: {first}{hint}"
        )


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    pieces = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in pieces], name


def _look_at_all(
    folder: Path,
    found: Sequence[Found],
    workers: int,
    progress: Progress | None,
    began_ns: int | None,
    onlooker: Onlooker | None,
) -> list[Look | str]:
    """A look at each file; what is remembered serves only scans with the time `began_ns`, which then remember."""
    known = {} if began_ns is None else known_looks(folder)
    stamps = {file.path: file.stamp for file in found if file.stamp is not None}
    looks: dict[str, Look | str] = {}
    for path, stamp in stamps.items():
        if (kept := known.get(key(path, stamp))) is not None:
            looks[path] = kept
    rest = [file.path for file in found if file.path not in looks]
    seen = frozenset() if onlooker is None else frozenset(onlooker.choose(rest))

    wanted = [(path, path in seen) for path in rest]
    look_at = partial(_look_at, folder, None if onlooker is None else onlooker.measure)
    with quiet_decoding():
        done = in_processes(look_at, wanted, workers)
        for count, (path, (look, noted)) in enumerate(zip(rest, done, strict=True), start=len(looks) + 1):
            looks[path] = look
            if onlooker is not None and noted:
                onlooker.note(path, noted[0])
            if progress:
                progress(count, len(found))
    if began_ns is not None and rest:
        remember(folder, stamps, looks, began_ns)
    return [looks[file.path] for file in found]
