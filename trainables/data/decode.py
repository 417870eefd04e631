"""One image file -> upright RGB pixels, whatever it was stored as."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

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


class UnreadableImage(DataProblem):
    """A file that should be an image can't be decoded."""


def read_rgb(path: Path) -> Pixels:
    """The upright picture in `path`, uint8 [h, w, 3].

    EXIF rotation is applied, transparency is laid on white, 16-bit and float samples are scaled to 8 bit; of
    several frames the first counts. Raises UnreadableImage.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImage(f"{path} can't be used: it has more than {MAX_PIXELS:,} pixels")
            return np.array(_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError:
        raise UnreadableImage(f"{path} can't be read: it holds no image of a known format") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage(f"{path} can't be used: it has more than {MAX_PIXELS:,} pixels") from None
    # Pillow's parsers let all of these out of a damaged file
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        EOFError,
        IndexError,
        KeyError,
        OverflowError,
    ) as error:
        raise UnreadableImage(f"{path} can't be read: {error or type(error).__name__}") from error


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
