"""What the last scan of a folder saw of each file, so that unchanged files need no second look.

A file is taken for unchanged while its size, its times, and its place on the disk (inode) are the same: pictures that
changed places keep size and time, and differ in the rest. A file that was changed a moment before it was read may
change again within one tick of the clock of its disk. So nothing is kept of files that are as young as the memory.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainables.data import cache_home
from trainables.data.decode import Pixels, UnreadableImage, read_picture
from trainables.data.deep import Extent
from tuner.dataset.reading.perceptual import hash_of
from tuner.dataset.reading.walk import Stamp

__all__ = ["Look", "key", "known_looks", "look_at_file", "look_known", "remember"]

_VERSION = 3

YOUNG_NS = 2_000_000_000
"""Files that changed less than this before a scan began are not remembered: the coarsest clock of a file system."""


@dataclass(frozen=True)
class Look:
    """What decoding a file says: upright size, hash of the pixels, perceptual hash; see `decode.Picture` for the rest.

    Of a deep picture `pixels` is the hash of its samples before any scale, and `extent` where these lie.
    """

    width: int
    height: int
    pixels: str
    look: str
    several: bool = False
    extent: Extent | None = None


def look_at_file(path: Path, see: Callable[[Pixels], None] | None = None) -> Look | str:
    """What decoding says, or why it can't be done.

    `see` is shown a picture of eight bits; of a deep one nobody knows the pixels before its data set has a scale.
    """
    try:
        picture = read_picture(path)
    except UnreadableImage as error:
        return str(error)
    if see is not None and picture.kind is None:
        see(picture.rgb(None))
    height, width = picture.samples.shape[:2]
    extent = picture.extent
    look = hash_of(picture.rgb(None if extent is None else extent.levels))
    return Look(width, height, picture.hash, look, picture.several, extent)


def known_looks(folder: Path) -> dict[str, Look]:
    """What is remembered of the files of `folder`, by `key`; empty where nothing is, or where the memory is damaged."""
    try:
        content = json.loads(_place(folder).read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            return {}
        return {key: _look(*values) for key, values in content["looks"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def key(path: str, stamp: Stamp) -> str:
    """The name of a file as it is now."""
    return f"{stamp.size}:{stamp.mtime_ns}:{stamp.ctime_ns}:{stamp.inode}:{path}"


def look_known(known: Mapping[str, Look], folder: Path, path: str) -> Look | None:
    """The look at a file below `folder` that is `known` and still holds; None if there is none."""
    try:
        return known.get(key(path, Stamp.of((folder / path).stat())))
    except OSError:
        return None


def remember(
    folder: Path, found: Mapping[str, Stamp], looks: Mapping[str, Look | str], began_ns: int
) -> None:
    """Keep the `looks` at the files `found` of `folder`, by path, of a scan that began at `began_ns` (Unix time).

    Unreadable files are not kept, nor those that were changed only then.
    """
    kept = {
        key(path, stamp): _values(look)
        for path, stamp in found.items()
        if not isinstance(look := looks[path], str)
        and max(stamp.mtime_ns, stamp.ctime_ns) < began_ns - YOUNG_NS
    }
    store = _place(folder)
    temporary = store.with_name(f".{store.name}.{uuid.uuid4().hex[:8]}.tmp")
    # a memo is a convenience: a full or read-only disk costs the next scan time and nothing else
    with suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps({"version": _VERSION, "looks": kept}), encoding="utf-8")
            temporary.replace(store)
        finally:
            temporary.unlink(missing_ok=True)


def _place(folder: Path) -> Path:
    return cache_home() / "scans" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}.json"


def _values(look: Look) -> list[object]:
    """A look as JSON holds it."""
    short = [look.width, look.height, look.pixels, look.look]
    if not look.several and look.extent is None:
        return [*short]
    extent = look.extent
    return [
        *short,
        look.several,
        None if extent is None else [extent.kind, extent.low, extent.high, extent.peak],
    ]


def _look(
    width: int,
    height: int,
    pixels: str,
    look: str,
    several: bool = False,
    extent: tuple[str, float, float, float] | None = None,
) -> Look:
    found = None
    if extent is not None:
        kind, low, high, peak = extent
        found = Extent(str(kind), float(low), float(high), float(peak))
    return Look(int(width), int(height), str(pixels), str(look), bool(several), found)
