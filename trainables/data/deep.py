"""Pictures with more than eight bits a sample, and the one scale at which all of a data set are read.

A file does not say which of its values is white: cameras write 12 bits into 16, programs write 0..255 into 32, and
float pictures have any range. So the scan looks at the values of all files and settles one scale: for each kind of
samples the values that become black (0) and white (255). Whatever reads these pictures later reads them at that scale.

The scale travels with the hash of a picture's pixels, so whoever builds a cache from hashes reads at the right one.
Needs numpy and Pillow only: the predict.py of a model folder is made of it.
"""

import hashlib
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = [
    "KINDS",
    "Extent",
    "Levels",
    "LowerBytes",
    "Samples",
    "Scale",
    "eight_bits",
    "extent_of",
    "hash_with",
    "in_words",
    "is_hash",
    "kind_of",
    "plain_hash",
    "sample_hash",
    "scale_from",
    "scale_in",
    "scale_record",
    "settle",
    "split_bytes",
]

Samples = npt.NDArray[Any]
"""Samples as they are stored, without a colour axis [h, w] or with red, green and blue [h, w, 3]."""

KINDS = {"int16": "16-bit", "int32": "32-bit", "float32": "float"}
"""Kinds of samples with more than eight bits, and what a person calls them."""

DEPTHS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""White of the usual depths: 8, 10, 12, 14 and 16 bits."""

OVER = 1.25
"""Float pictures up to this value are taken for pictures of 0 to 1, which interpolation has carried beyond."""

DIM = 8.0
"""Where a depth would leave even the bright values below an eighth of white, a smaller range is taken."""

SHARE = 0.001
"""Share of a picture's samples at either end that do not count: dead and hot pixels."""

ODD = 0.05
"""Share of the pictures at either end that do not count where they lie far from the others, as blank pages do."""

MOST_SAMPLES = 1_000_000
"""Samples of a picture from which its extent is taken, at most."""

_HASH = re.compile(rf"([0-9a-f]{{32}})@({'|'.join(KINDS)}):([-+.\de]+):([-+.\de]+)")


@dataclass(frozen=True)
class Levels:
    """The values that become black and white; what lies outside is cut off."""

    black: float
    white: float


Scale = Mapping[str, Levels]
"""The levels of each kind of samples; empty for a data set of ordinary pictures."""


@dataclass(frozen=True)
class Extent:
    """Where the values of a picture lie: from `low` to `high` but for the outermost `SHARE`; the highest is `peak`."""

    kind: str
    low: float
    high: float
    peak: float

    @property
    def levels(self) -> "Levels":
        """The levels that this picture would have by itself."""
        return Levels(self.low, self.high if self.high > self.low else self.low + 1.0)


def kind_of(image: Image.Image) -> str | None:
    """The kind of the samples in an opened, not yet loaded file; None for those of eight bits."""
    if image.mode == "F":
        return "float32"
    if image.mode.startswith("I"):
        return "int16" if image.mode != "I" or any(";16" in raw for raw in _raw_modes(image)) else "int32"
    return "int16" if split_bytes(image) else None


@dataclass(frozen=True)
class LowerBytes:
    """The tiles by which Pillow yields the lower bytes of 16-bit samples; both bytes at once where these are `grey`."""

    tiles: list[Any]
    grey: bool


def split_bytes(image: Image.Image) -> LowerBytes | None:
    """How to read the lower bytes of an opened picture of several 16-bit samples a pixel; None for other pictures.

    Pillow keeps the higher byte of each sample. Told that the bytes lie the other way round, it keeps the lower.
    """
    raw_modes, stored = _raw_modes(image), getattr(image, "tile", [])
    if not raw_modes or not all(re.fullmatch(r"(RGB|RGBX|RGBA|LA);16[LBN]", raw) for raw in raw_modes):
        return None
    own = "L" if sys.byteorder == "little" else "B"
    other = {"L": "B", "B": "L"}
    tiles: list[Any] = []
    for tile, raw in zip(stored, raw_modes, strict=True):
        order = own if raw.endswith("N") else raw[-1]
        # Pillow has no LA of the other order: as four samples of a byte both bytes come at once
        swapped = "RGBA" if raw.startswith("LA") else raw[:-1] + other[order]
        args = swapped if isinstance(tile[3], str) else (swapped, *tile[3][1:])
        tiles.append(tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args))
    return LowerBytes(tiles, raw_modes[0].startswith("LA"))


def _raw_modes(image: Image.Image) -> list[str]:
    """How the samples of each tile are stored, in Pillow's words."""
    given = [tile[3] for tile in getattr(image, "tile", [])]
    return [str(args[0] if isinstance(args, (tuple, list)) and args else args) for args in given]


def extent_of(kind: str, samples: Samples) -> Extent:
    """Where the finite values of a picture lie."""
    values = samples.reshape(-1)[:: max(1, samples.size // MOST_SAMPLES)].astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return Extent(kind, 0.0, 0.0, 0.0)
    low, high = np.quantile(values, [SHARE, 1 - SHARE]).tolist()
    whole = samples[np.isfinite(samples)] if kind == "float32" else samples
    return Extent(kind, low, high, float(whole.max()))


def settle(extents: Iterable[Extent]) -> dict[str, Levels]:
    """One scale for pictures of these extents: the levels of every kind among them."""
    kinds: dict[str, list[Extent]] = defaultdict(list)
    for extent in extents:
        kinds[extent.kind].append(extent)
    return {kind: _levels(kinds[kind]) for kind in KINDS if kind in kinds}


def _levels(found: Sequence[Extent]) -> Levels:
    """A usual depth from black at 0, or the range itself where it fits none or lies far from 0."""
    floating = found[0].kind == "float32"
    peak = max(extent.peak for extent in found)
    low, high = _range(found)
    tops = (_depth(peak, floating), _depth(high, floating), high)
    white = next((top for top in tops if top is not None and high >= top / DIM), high)
    if low < 0 or white <= 0 or high - low < white / DIM:
        return Extent(found[0].kind, low, high, peak).levels
    return Levels(0.0, white)


def _range(found: Sequence[Extent]) -> tuple[float, float]:
    """The lowest and the highest value of all pictures but odd ones, which lie further off than the others reach."""
    lows, highs = (np.array([getattr(extent, end) for extent in found]) for end in ("low", "high"))
    low, high = float(np.quantile(lows, ODD)), float(np.quantile(highs, 1 - ODD))
    span = high - low
    return float(lows[lows >= low - span].min()), float(highs[highs <= high + span].max())


def _depth(value: float, floating: bool) -> float | None:
    """White of the smallest usual depth that holds `value`; None where none does."""
    if floating and value <= OVER:
        return 1.0
    return next((white for white in DEPTHS if value <= white), None)


def eight_bits(samples: Samples, levels: Levels) -> npt.NDArray[np.uint8]:
    """`samples` as uint8, black at 0 and white at 255; values that are no number become black."""
    span = levels.white - levels.black
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (samples.astype(np.float64) - levels.black) * (255.0 / span)
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0)
    return np.asarray(np.clip(np.round(scaled), 0, 255).astype(np.uint8))


# ---- the scale beside hashes and in files


def sample_hash(kind: str, samples: Samples, alpha: npt.NDArray[np.uint8] | None) -> str:
    """Hash of a deep picture as it is stored, before any scale: 32 hexadecimal digits."""
    digest = hashlib.blake2b(f"{kind} {samples.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("<")).tobytes())
    if alpha is not None:
        digest.update(alpha.tobytes())
    return digest.hexdigest()


def hash_with(pixels: str, kind: str, levels: Levels) -> str:
    """The hash `pixels` together with the levels at which the picture is read."""
    return f"{pixels}@{kind}:{levels.black!r}:{levels.white!r}"


def plain_hash(pixels: str) -> str:
    """What `hash_with` was given."""
    found = _HASH.fullmatch(pixels)
    return found[1] if found else pixels


def is_hash(text: str) -> bool:
    """Whether `text` is the hash of a picture, with or without levels."""
    return re.fullmatch(r"[0-9a-f]{32}", plain_hash(text)) is not None


def scale_in(pixels: str) -> dict[str, Levels]:
    """The scale that travels with a hash; empty for that of an ordinary picture."""
    found = _HASH.fullmatch(pixels)
    return {found[2]: Levels(float(found[3]), float(found[4]))} if found else {}


def scale_record(scale: Scale) -> dict[str, list[float]]:
    """The scale as files hold it: black and white by kind."""
    return {kind: [levels.black, levels.white] for kind, levels in scale.items()}


def scale_from(record: Any) -> dict[str, Levels]:
    """What `scale_record` made; empty for None. Raises ValueError for anything else."""
    if record is None:
        return {}
    if not isinstance(record, Mapping) or not set(record) <= set(KINDS):
        raise ValueError(f"a scale has the keys {', '.join(KINDS)}; this is {record!r}")
    found = {}
    for kind, pair in record.items():
        try:
            black, white = (float(value) for value in pair)
        except (TypeError, ValueError):
            raise ValueError(f"the levels of {kind} are black and white; these are {pair!r}") from None
        if not (np.isfinite([black, white]).all() and black < white):
            raise ValueError(f"the black of {kind} lies below its white; these are {pair!r}")
        found[str(kind)] = Levels(black, white)
    return found


def in_words(kind: str, levels: Levels) -> str:
    """The levels of a kind for a person: "16-bit pictures: 0 is black, 4095 is white"."""
    return f"{KINDS[kind]} pictures: {levels.black:.6g} is black, {levels.white:.6g} is white"
