"""From an upright picture to what a model sees of it, the same for training, validation and every later answer.

Scaled until the short side is `cache_side`, then the middle is cut out. Needs numpy and Pillow only: `tuner predict`
runs without torch and OpenCV.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from trainables.data.decode import Pixels
from trainables.errors import InvalidValue

__all__ = ["MAX_ASPECT", "cache_side", "centre_crop", "fit", "picture", "require_size"]

MAX_ASPECT = 4.0
"""Longer images lose their ends: beyond this a training crop would see a sliver of the picture anyway."""


def cache_side(image_size: int) -> int:
    """Short side in pixels of a stored image for training at `image_size`: 256 for 224."""
    return round(image_size * 8 / 7)


def fit(pixels: Pixels, side: int) -> Pixels:
    """`pixels` [h, w, 3] with the short side scaled to `side`, antialiased, the ends of a strip cut off."""
    height, width = pixels.shape[:2]
    longest = int(MAX_ASPECT * min(height, width))
    top, left = max(height - longest, 0) // 2, max(width - longest, 0) // 2
    pixels = pixels[top : top + longest, left : left + longest]
    scale = side / min(height, width)
    shape = [max(side, round(extent * scale)) for extent in pixels.shape[:2]]
    if shape == [*pixels.shape[:2]]:
        return np.ascontiguousarray(pixels)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


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


def picture(pixels: Pixels, image_size: int, short_side: int) -> Pixels:
    """What a model sees of an upright picture [h, w, 3]: uint8 [image_size, image_size, 3]."""
    seen: Pixels = centre_crop([fit(pixels, short_side)], image_size)[0]
    return seen
