"""One image file -> upright RGB pixels, whatever it was stored as."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from trainables.data.metadata import UPRIGHT, orientation, without_metadata
from trainables.errors import DataProblem

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


def read_rgb(path: Path) -> Pixels:
    """The upright picture in `path`, uint8 [h, w, 3].

    EXIF rotation is applied, transparency is laid on white, 16-bit and float samples are scaled to 8 bit; of
    several frames the first counts. Damaged metadata is passed over. Raises UnreadableImage, whatever the
    libraries beneath raise.
    """
    try:
        if not S_ISREG(path.stat().st_mode):
            raise UnreadableImage(f"{printable(path)} can't be read: it is not a regular file")
        return _decoded(path)
    except UnreadableImage:
        raise
    # the one place for errors of decoding: Pillow's parsers let nearly every class out of a damaged file
    except Exception as error:
        raise UnreadableImage(f"{printable(path)} can't be {_reason(error)}") from error


def printable(path: Path | str) -> str:
    r"""`path` as text that every file and terminal takes: bytes that are no UTF-8 are shown as \xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _decoded(path: Path) -> Pixels:
    try:
        # a file, not a path: Pillow would map some formats, and mixes up the sides of a turned grey TIFF
        with path.open("rb") as file:
            return _pixels(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, _TooLarge):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # damaged metadata stop Pillow at times: look again without them
        plain = without_metadata(path.read_bytes())
        if plain is None:
            raise
        return _pixels(io.BytesIO(plain[0]), plain[1])


def _pixels(source: BinaryIO, turned: int | None = None) -> Pixels:
    with Image.open(source, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _TooLarge
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # Pillow reads all further tags here, and any damaged one costs the picture
            setattr(image, "load_end", lambda: None)  # noqa: B010
        image.load()
        setattr(image, "_size", image.im.size)  # noqa: B010 - that of a TIFF is already the upright one
        turn = _TURNS.get(_orientation(image) if turned is None else turned)
        pixels = np.array(_rgb(image if turn is None else image.transpose(turn)))
        if not pixels.size:
            raise ValueError("it has no pixels")
        return pixels


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


def _rgb(image: Image.Image) -> Image.Image:
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
