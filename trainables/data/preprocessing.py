"""From an upright picture to the square that a model sees, the same for training, validation and every later answer.

`picture` is the whole way. It has two steps, since the image cache keeps what is between them: `fitted`, then
`centre_crop`. Needs numpy and Pillow only: `tuner predict` runs without torch and OpenCV.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from trainables.config import CROP, PAD, SQUASH
from trainables.data.decode import Pixels
from trainables.errors import InvalidValue

__all__ = [
    "MAX_ASPECT",
    "MEAN_COLOUR",
    "cache_side",
    "centre_crop",
    "fitted",
    "picture",
    "require_size",
    "square_in_words",
]

MAX_ASPECT = 4.0
"""Of longer images `crop` cuts the ends off: beyond this a training crop would see a sliver of the picture anyway."""

MEAN_COLOUR = (124, 116, 104)
"""The mean of ImageNet's pictures, which normalising takes to about zero: `pad` fills with it, as timm does."""


def cache_side(image_size: int, fit: str = CROP) -> int:
    """Side in pixels that a stored picture is scaled to, for training at `image_size`.

    It is the short side of `crop`, 8/7 of `image_size` (256 for 224), so that what a model sees is the middle and
    training crops lose no detail. `squash` and `pad` lose no edge: their squares have the side `image_size`.
    """
    return round(image_size * 8 / 7) if fit == CROP else image_size


def fitted(pixels: Pixels, side: int, fit: str = CROP) -> Pixels:
    """What is stored of an upright picture [h, w, 3], resized by antialiased bilinear interpolation.

    `crop` scales the short side to `side`, keeps the aspect and cuts the ends of a strip off. `squash` scales both
    sides to `side`, whatever the aspect. `pad` scales the long side to `side`, keeps the aspect and fills up with
    `MEAN_COLOUR` on both ends alike. The last two give [side, side, 3]. Raises KeyError for another `fit`.
    """
    return _FITTED[fit](pixels, side)


def _cut(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    longest = int(MAX_ASPECT * min(height, width))
    top, left = max(height - longest, 0) // 2, max(width - longest, 0) // 2
    pixels = pixels[top : top + longest, left : left + longest]
    scale = side / min(height, width)
    tall, wide = (max(side, round(extent * scale)) for extent in pixels.shape[:2])
    return _resized(pixels, tall, wide)


def _squashed(pixels: Pixels, side: int) -> Pixels:
    return _resized(pixels, side, side)


def _padded(pixels: Pixels, side: int) -> Pixels:
    scale = side / max(pixels.shape[:2])
    height, width = (max(1, round(extent * scale)) for extent in pixels.shape[:2])
    square = np.full((side, side, 3), MEAN_COLOUR, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = _resized(pixels, height, width)
    return square


_FITTED = {CROP: _cut, SQUASH: _squashed, PAD: _padded}


def _resized(pixels: Pixels, height: int, width: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def require_size(shapes: Iterable[tuple[int, int]], size: int) -> None:
    """Raise InvalidValue if a picture of `shapes` (height, width) is too small to be cropped to `size`."""
    for height, width in shapes:
        if min(height, width) < size:
            raise InvalidValue(f"an image of {width} x {height} can't be cropped to {size}; cache it larger")


def centre_crop(images: Sequence[Pixels], size: int) -> Pixels:
    """The middle of every picture, uint8 [b, size, size, 3]; raises InvalidValue if one is too small."""
    out = np.empty((len(images), size, size, 3), np.uint8)
    for i, image in enumerate(images):
        height, width = image.shape[:2]
        require_size([(height, width)], size)
        top, left = (height - size) // 2, (width - size) // 2
        out[i] = image[top : top + size, left : left + size]
    return out


def picture(pixels: Pixels, image_size: int, side: int, fit: str = CROP) -> Pixels:
    """What a model sees of an upright picture [h, w, 3]: uint8 [image_size, image_size, 3].

    `side` is the `cache_side` that the model was trained with.
    """
    seen: Pixels = centre_crop([fitted(pixels, side, fit)], image_size)[0]
    return seen


def square_in_words(image_size: int, side: int, fit: str) -> str:
    """What `picture` does, in a sentence for people."""
    square = f"{image_size} x {image_size} pixels"
    return {
        CROP: f"crop: the short side is scaled to {side} pixels, then the middle {square} are cut out",
        SQUASH: f"squash: the whole picture is scaled to {square}, whatever its aspect",
        PAD: f"pad: the long side is scaled to {side} pixels, and the rest of {square} is filled with the colour"
        f" {MEAN_COLOUR}, the picture in the middle",
    }[fit]
