"""A policy's augmentation as one warp, one colour matrix and one blur, picture by picture with OpenCV.

`augment_on_device` draws the same pictures, a batch at a time.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from trainables.augmentations.policy import Policy
from trainables.data.augment_maps import (
    ERASED,
    LUMA,
    MAX_OCCURRENCES,
    NUMBERS,
    OPERATIONS,
    Floats,
    boxes,
    colour_maps,
    draw,
    kernels,
    shrunk_maps,
    source_maps,
    steps,
    wedge_maps,
)
from trainables.data.augment_on_device import within_wedges
from trainables.data.decode import Pixels

__all__ = ["ERASED", "MAX_OCCURRENCES", "NUMBERS", "OPERATIONS", "Floats", "augment", "draw"]

# a constant border would show the angle and the shift; a mirrored one looks like more of the same picture
_BORDER = cv2.BORDER_REFLECT_101


def augment(images: Sequence[Pixels], numbers: Floats, size: int, policy: Policy) -> Pixels:
    """Augmented pictures, uint8 [b, size, size, 3], of `images` [h, w, 3] with their `numbers` [b, 25]."""
    images, warps = _shrunk(images, numbers, size, policy)
    colours, offsets, jittered = colour_maps(numbers, policy)
    blurs = kernels(numbers, policy)
    edges, erased = wedge_maps(numbers, size, policy), boxes(numbers, size, policy)
    out = np.empty((len(images), size, size, 3), np.uint8)
    scratch = np.empty((size, size, 3), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for i, image in enumerate(images):
        warped = cv2.warpAffine(image, warps[i], (size, size), dst=scratch, flags=flags, borderMode=_BORDER)
        if jittered[i]:
            grey = float(LUMA @ np.asarray(cv2.mean(warped)[:3]))
            warped = cv2.transform(warped, np.column_stack([colours[i], offsets[i] * grey]), dst=scratch)
        if edges is not None:
            inside = within_wedges(torch.from_numpy(edges[i : i + 1]), size)[0].numpy()
            warped = np.rint(warped * inside[:, :, None]).astype(np.uint8)
        cv2.sepFilter2D(warped, -1, blurs[i], blurs[i], dst=out[i], borderType=_BORDER)
        if erased is not None:
            left, top, right, bottom = erased[i]
            out[i, top:bottom, left:right] = ERASED
    return out


def _shrunk(
    images: Sequence[Pixels], numbers: Floats, size: int, policy: Policy
) -> tuple[list[Pixels], Floats]:
    """The images, shrunk where a sample would skip pixels, and [b, 2, 3] maps from output to source."""
    shapes = np.array([image.shape[:2] for image in images], dtype=np.float64)
    warps = source_maps(shapes, numbers, size, policy)
    by = steps(warps)
    shrunk = list(images)
    for i in np.flatnonzero((by > 1).any(axis=1)).tolist():
        x, y = by[i].tolist()
        height, width = (
            extent // step * step for extent, step in zip(images[i].shape[:2], (y, x), strict=True)
        )
        whole = images[i][:height, :width]
        small = cv2.resize(whole, (width // x, height // y), interpolation=cv2.INTER_AREA)
        shrunk[i] = np.asarray(small, dtype=np.uint8)
    return shrunk, shrunk_maps(warps, by)
