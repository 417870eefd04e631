"""One image file -> upright RGB pixels, whatever it was stored as."""

import hashlib
import io
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from trainables.data.deep import (
    KINDS,
    Extent,
    Levels,
    Samples,
    Scale,
    eight_bits,
    extent_of,
    kind_of,
    sample_hash,
    split_bytes,
)
from trainables.data.metadata import UPRIGHT, orientation, without_metadata
from trainables.errors import DataProblem
from trainables.wording import printable

Pixels = npt.NDArray[np.uint8]

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Files that count as images, in either case."""

MAX_PIXELS = 89_478_485
"""Largest image that is decoded: a quarter of a gigabyte as RGB, which is Pillow's own bound."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
# Pillow registers its rarer formats on first need only, and not in a way that threads may race for.
Image.init()

_WHITE = (255, 255, 255, 255)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture of each orientation is made upright."""


class UnreadableImage(DataProblem):
    """A file that should be an image can't be decoded."""


class _TooLarge(Exception):
    """An image of more than MAX_PIXELS."""


@dataclass(frozen=True)
class Picture:
    """An upright picture: RGB uint8 [h, w, 3], or samples of a `kind` with more than eight bits, grey [h, w] or RGB.

    `alpha` uint8 [h, w] is how opaque a deep picture is, None where it all is; of others it is laid on white already.
    `several` says that the file holds more frames or pages, of which this is the first.
    """

    samples: Samples
    kind: str | None = None
    alpha: Pixels | None = None
    several: bool = False

    def rgb(self, levels: Levels | None) -> Pixels:
        """The picture as uint8 [h, w, 3]; a deep one needs the `levels` of its kind."""
        if self.kind is None or levels is None:
            return self.samples
        grey = eight_bits(self.samples, levels)
        pixels = grey if grey.ndim == 3 else np.repeat(grey[:, :, None], 3, axis=2)
        return pixels if self.alpha is None else _on_white(np.dstack([pixels, self.alpha]))

    @property
    def hash(self) -> str:
        """Hash of the picture as it is stored, 32 hexadecimal digits; of an ordinary one that of its RGB values."""
        if self.kind is None:
            return pixel_hash(self.samples)
        return sample_hash(self.kind, self.samples, self.alpha)

    @property
    def extent(self) -> Extent | None:
        """Where the values of a deep picture lie; None for ordinary ones."""
        return None if self.kind is None else extent_of(self.kind, self.samples)


def pixel_hash(pixels: Pixels) -> str:
    """Hash of an image's size and RGB values, 32 hexadecimal digits."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def read_rgb(path: Path, scale: Scale | None = None) -> Pixels:
    """The upright picture in `path`, uint8 [h, w, 3].

    EXIF rotation is applied, transparency is laid on white; of several frames the first counts. Deep samples are
    scaled by `scale`, that of their data set. Those of a kind that it lacks are read as a file alone allows: 16 and 32
    bits from 0 to 65535, floats by their own highest value. Damaged metadata is passed over. Raises UnreadableImage,
    whatever the libraries beneath raise.
    """
    picture = _read(path, scale or ())
    return picture.rgb(scale[picture.kind] if scale and picture.kind else None)


def read_picture(path: Path) -> Picture:
    """The same picture with its samples as they are stored; raises UnreadableImage."""
    return _read(path, KINDS)


def _read(path: Path, deep: Collection[str]) -> Picture:
    """The picture in `path`; those of the kinds `deep` keep their samples, others become RGB."""
    try:
        if not S_ISREG(path.stat().st_mode):
            raise UnreadableImage(f"{printable(path)} can't be read: it is not a regular file")
        return _decoded(path, deep)
    except UnreadableImage:
        raise
    # the one place for errors of decoding: Pillow's parsers let nearly every class out of a damaged file
    except Exception as error:
        raise UnreadableImage(f"{printable(path)} can't be {_reason(error)}") from error


def _decoded(path: Path, deep: Collection[str]) -> Picture:
    try:
        # a file, not a path: Pillow would map some formats, and mixes up the sides of a turned grey TIFF
        with path.open("rb") as file:
            return _picture(file, deep)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, _TooLarge):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # damaged metadata stop Pillow at times: look again without them
        plain = without_metadata(path.read_bytes())
        if plain is None:
            raise
        return _picture(io.BytesIO(plain[0]), deep, plain[1])


def _picture(source: BinaryIO, deep: Collection[str], turned: int | None = None) -> Picture:
    with Image.open(source, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _TooLarge
        kind = kind_of(image) if deep else None
        several, lower = _several(image), split_bytes(image) if kind in deep else None
        _load(image)
        turn = _TURNS.get(_orientation(image) if turned is None else turned)
        upright = image if turn is None else image.transpose(turn)
        if kind not in deep:
            picture = Picture(np.array(_rgb(upright)), several=several)
        elif lower is None:
            samples = np.array(upright)
            picture = Picture(samples.astype(samples.dtype.newbyteorder("=")), kind, several=several)
        else:
            samples, alpha = _of_two_bytes(upright, _again(source, lower.tiles, turn), lower.grey)
            picture = Picture(samples, kind, alpha, several)
        if not picture.samples.size:
            raise ValueError("it has no pixels")
        return picture


def _load(image: Image.Image) -> None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Pillow reads all further tags here, and any damaged one costs the picture
        setattr(image, "load_end", lambda: None)  # noqa: B010
    image.load()
    setattr(image, "_size", image.im.size)  # noqa: B010 - that of a TIFF is already the upright one


def _again(source: BinaryIO, tiles: list[Any], turn: Image.Transpose | None) -> Image.Image:
    """The upright picture in `source` decoded by other `tiles`."""
    source.seek(0)
    with Image.open(source, formats=_FORMATS) as image:
        image.tile = tiles
        _load(image)
        return image.copy() if turn is None else image.transpose(turn)


def _of_two_bytes(image: Image.Image, lower: Image.Image, grey: bool) -> tuple[Samples, Pixels | None]:
    """The samples of a 16-bit picture from their upper and their lower bytes, and how opaque they are."""
    high, low = np.asarray(image), np.asarray(lower)
    alpha = np.ascontiguousarray(high[..., 3]) if high.shape[2] == 4 else None
    if grey:  # both bytes of grey and of alpha stand side by side in the second
        return low[..., 0].astype(np.uint16) * 256 + low[..., 1], alpha
    return high[..., :3].astype(np.uint16) * 256 + low[..., :3], alpha


def _several(image: Image.Image) -> bool:
    """Whether the file holds more frames or pages; the previews in a photograph are none."""
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # of damaged further frames, which any class of error may come from
        return False


def _orientation(image: Image.Image) -> int:
    exif = image.info.get("exif")
    found = orientation(exif) if isinstance(exif, bytes) else None
    if found is not None:
        return found
    try:
        tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else image.getexif()
        other = tags.get(ExifTags.Base.Orientation, UPRIGHT)
        return other if isinstance(other, int) else UPRIGHT
    except Exception:  # of damaged metadata, which any class of error may come from
        return UPRIGHT


def _reason(error: Exception) -> str:
    """The end of the sentence that says what is wrong with a file."""
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning, _TooLarge)):
        return f"used: it has more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "read: it holds no image of a known format"
    if isinstance(error, OSError) and error.strerror:
        return f"read: {error.strerror}"
    return f"read: {(str(error).splitlines() or [type(error).__name__])[0]}"


@contextmanager
def quiet_decoding() -> Iterator[None]:
    """Silence Pillow's warnings on odd files, in all threads, while the caller runs its pool.

    Python's warning filters belong to the process, so one thread sets them for all, around the pool.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _on_white(rgba: Pixels) -> Pixels:
    ground = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), _WHITE)
    return np.array(Image.alpha_composite(ground, Image.fromarray(np.ascontiguousarray(rgba))).convert("RGB"))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _grey(np.asarray(image, dtype=np.float64) / 257.0)
    if image.mode == "F":
        return _grey(_float_levels(np.asarray(image, dtype=np.float64)))
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, _WHITE)
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _grey(levels: npt.NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(np.round(levels), 0, 255).astype(np.uint8)).convert("RGB")


def _float_levels(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # a float image does not say its range: 0..1, 0..255 and 0..65535 are the ones in use
    values = np.nan_to_num(values, nan=0.0, posinf=65535.0, neginf=0.0)
    highest = values.max(initial=0.0)
    return values * 255.0 if highest <= 1.0 else values if highest <= 255.0 else values / 257.0
