"""What an augmentation makes of a few images, beside the images themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables import augmentations
from trainables.config import CROP
from trainables.data.decode import Pixels, UnreadableImage, quiet_decoding, read_rgb
from trainables.data.deep import Scale
from trainables.data.preprocessing import cache_side, centre_crop, fitted
from tuner.evaluation.plots.mosaic import mosaic
from tuner.html.canvas import fit as shortened

if TYPE_CHECKING:
    from tuner.html.canvas import Drawing

__all__ = ["IMAGES", "every_policy", "one_policy", "some_of_each"]

IMAGES = 8
EPOCHS = 4
"""So many epochs of one policy are shown."""


def every_policy(
    folder: Path,
    chosen: Sequence[tuple[str, str]],
    image_size: int,
    *,
    scale: Scale | None = None,
    fit: str = CROP,
    seed: int = 0,
) -> "Drawing | None":
    """Size and drawing of the images `chosen` (path, what stands beside it) under every augmentation, once each.

    None where no image can be read.
    """
    columns = [(name, name, 1) for name in augmentations.names()]
    return _sheet(folder, chosen, columns, image_size, scale, fit, seed)


def one_policy(
    folder: Path,
    chosen: Sequence[tuple[str, str]],
    image_size: int,
    policy: str,
    *,
    scale: Scale | None = None,
    fit: str = CROP,
    seed: int = 0,
) -> "Drawing | None":
    """The same under one augmentation, as it varies from epoch to epoch."""
    columns = [(f"epoch {epoch}", policy, epoch) for epoch in range(1, EPOCHS + 1)]
    return _sheet(folder, chosen, columns, image_size, scale, fit, seed)


def some_of_each(
    paths: Sequence[str], labels: Sequence[str], seed: int = 0, count: int = IMAGES
) -> list[tuple[str, str]]:
    """`count` images drawn with `seed`, of one class after the other: path and label."""
    order = np.random.default_rng(seed).permutation(len(paths))
    waiting: dict[str, list[str]] = {}
    for place in sorted(order.tolist(), key=lambda place: labels[place]):
        waiting.setdefault(labels[place], []).append(paths[place])
    chosen: list[tuple[str, str]] = []
    while waiting and len(chosen) < count:
        for label in list(waiting):
            chosen.append((waiting[label].pop(), label))
            if not waiting[label]:
                del waiting[label]
    return sorted(chosen[:count], key=lambda one: one[1])


def _sheet(
    folder: Path,
    chosen: Sequence[tuple[str, str]],
    columns: Sequence[tuple[str, str, int]],
    image_size: int,
    scale: Scale | None,
    fit: str,
    seed: int,
) -> "Drawing | None":
    """A row an image: the image, then each of `columns`, which are (head, policy, epoch)."""
    from trainables.data.augment import augment, draw

    images, sides = [], []
    with quiet_decoding():
        for path, side in chosen:
            pixels = _read(folder / path, image_size, scale, fit)
            if pixels is not None:
                images.append(pixels)
                sides.append(shortened(side, 22))
    if not images:
        return None
    made = [list(centre_crop(images, image_size))]
    for _, policy, epoch in columns:
        numbers = draw(len(images), seed, epoch)
        made.append(list(augment(images, numbers, image_size, augmentations.get(policy))))
    rows = list(zip(*made, strict=True))
    return mosaic(rows, ["as it is", *(head for head, _, _ in columns)], sides)


def _read(path: Path, image_size: int, scale: Scale | None, fit: str) -> Pixels | None:
    """The image as training has it in its cache."""
    try:
        return fitted(read_rgb(path, scale), cache_side(image_size, fit), fit)
    except UnreadableImage:
        return None
