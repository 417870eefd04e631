"""The pictures of `augment` drawn on a device, a batch at a time, from stored pixels and a table of numbers.

What an epoch needs of the processor is worked out once, before its first batch: a row a picture of where its pixels
lie and how they are mapped. A batch then costs the processor no arithmetic and no copy but that of the pixels, or
none at all where they are on the device already. Pictures of any shape lie back to back, so nothing is padded.

Nothing here is a product of matrices or a convolution: a GPU may compute those in TF32, whose 10 bits would move a
sample by a third of a pixel. Tested with the CPU as the device, and run on an NVIDIA H200, the same arithmetic in
more operations.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainables.augmentations.policy import Policy
from trainables.data.augment_maps import (
    ERASED,
    LUMA,
    Floats,
    boxes,
    colour_maps,
    kernels,
    shrunk_maps,
    source_maps,
    steps,
    wedge_maps,
)

__all__ = ["Drawings", "crop_on_device", "draw_on_device", "drawings", "within_wedges"]

TOGETHER = 32
"""Pictures drawn at once: what they need on the way, about 2 MB each at 224 px, bounds the memory of a large batch."""

_WARP, _COLOUR, _OFFSET, _KERNEL = slice(0, 6), slice(6, 15), slice(15, 18), slice(18, 20)
_WEDGES, _BOX, _STEP = slice(20, 32), slice(32, 36), slice(36, 38)
_COLUMNS = 38


@dataclass(frozen=True)
class Drawings:
    """How pictures are drawn, a row each: float32 [n, 38] of maps and numbers; `most` int64 [n, 2], see `steps`."""

    table: npt.NDArray[np.float32]
    most: npt.NDArray[np.int64]


def drawings(shapes: npt.NDArray[np.int64], numbers: Floats, size: int, policy: Policy) -> Drawings:
    """What pictures of `shapes` [n, (h, w)] with their `numbers` [n, 25] are drawn with, `size` pixels a side."""
    warps = source_maps(shapes.astype(np.float64), numbers, size, policy)
    by = steps(warps)
    colours, offsets, _ = colour_maps(numbers, policy)
    table = np.zeros((len(shapes), _COLUMNS), np.float32)
    table[:, _WARP] = shrunk_maps(warps, by).reshape(-1, 6)
    table[:, _COLOUR], table[:, _OFFSET] = colours.reshape(-1, 9), offsets
    table[:, _KERNEL] = kernels(numbers, policy)[:, :2]
    wedges, erased = wedge_maps(numbers, size, policy), boxes(numbers, size, policy)
    if wedges is not None:
        table[:, _WEDGES] = wedges.reshape(-1, 12)
    if erased is not None:
        table[:, _BOX] = erased
    table[:, _STEP] = by
    return Drawings(table, by)


def draw_on_device(
    pixels: Tensor, places: Tensor, table: Tensor, most: Sequence[int], size: int, policy: Policy
) -> Tensor:
    """Augmented pictures, uint8 [b, 3, size, size] in channels_last layout, on the device of `pixels`.

    `pixels` uint8 [p, 3] holds the pictures back to back; `places` int64 [b, 3] says of each where it begins, in
    pixels, and its height and width. `table` [b, 38] are rows of `Drawings`, `most` the largest of their steps.
    """
    out = torch.empty((len(places), size, size, 3), dtype=torch.uint8, device=pixels.device)
    for start in range(0, len(places), TOGETHER):
        part = slice(start, start + TOGETHER)
        _draw_into(out[part], pixels, places[part], table[part], most, policy)
    return out.permute(0, 3, 1, 2)


def crop_on_device(pixels: Tensor, places: Tensor, size: int) -> Tensor:
    """The middle of every picture as `centre_crop` cuts it, uint8 [b, 3, size, size]; see `draw_on_device`."""
    index = torch.arange(size, device=pixels.device)
    begin, height, width = (places[:, i, None, None] for i in range(3))
    rows = (height - size).div(2, rounding_mode="floor") + index[None, :, None]
    columns = (width - size).div(2, rounding_mode="floor") + index[None, None, :]
    return pixels[begin + rows * width + columns].permute(0, 3, 1, 2)


def _draw_into(
    out: Tensor, pixels: Tensor, places: Tensor, table: Tensor, most: Sequence[int], policy: Policy
) -> None:
    """Write the pictures into `out`, uint8 [b, size, size, 3].

    Each operation goes over all pixels once, and a GPU does it beside the training: what two corners of a pixel share
    is computed once, and the last operation writes where the pictures are to lie.
    """
    constant, size = _constants(pixels.device), out.shape[1]
    warped = _sampled(pixels, places, table[:, _WARP], table[:, _STEP], most, size)
    grey = (warped.mean((1, 2)) * constant.luma).sum(1)
    offset = (table[:, _OFFSET] * grey[:, None])[:, None, None, :]
    colour = table[:, None, None, _COLOUR].unflatten(3, (3, 3))
    coloured = (warped[..., :1] * colour[..., 0]).add_(offset)
    for channel in (1, 2):
        coloured.addcmul_(warped[..., channel : channel + 1], colour[..., channel])
    coloured.clamp_(0, 255)
    if policy.border == "black":
        coloured.mul_(within_wedges(table[:, _WEDGES].unflatten(1, (4, 3)), size)[..., None])
    # Between 0 and 255 before the blur, and so after it.
    out.copy_(_blurred(coloured, table[:, _KERNEL]).add_(0.5))
    if policy.erase:
        out.copy_(torch.where(_within(table[:, _BOX], size), constant.erased, out))


def _sampled(
    pixels: Tensor, places: Tensor, warp: Tensor, step: Tensor, most: Sequence[int], size: int
) -> Tensor:
    """Sources [b, size, size, 3], averaged over their steps and interpolated, mirrored beyond their edges."""
    # Half the memory that addresses take, where they fit in half the bits.
    whole = torch.int32 if len(pixels) < 2**31 else torch.int64
    begin, height, width = (places[:, i, None, None].to(whole) for i in range(3))
    by_x, by_y = (step[:, i, None, None].to(whole) for i in range(2))
    index = torch.arange(size, device=pixels.device, dtype=torch.float32)
    ends = [extent.div(by, rounding_mode="floor") - 1 for extent, by in ((width, by_x), (height, by_y))]
    lows, highs, shares = [], [], []
    for axis, last in enumerate(ends):
        across, down, start = (warp[:, 3 * axis + i, None, None] for i in range(3))
        place = _mirrored((across * index + start) + down * index[:, None], last.float())
        low = place.to(whole)
        lows.append(low)
        highs.append(torch.minimum(low + 1, last))
        shares.append((place - low)[..., None])

    (left, top), (right, bottom), (x, y) = lows, highs, shares
    if max(most) > 1:
        left, right = left * by_x, right * by_x
    # Where rows begin, and what each side weighs: two corners share each of them.
    rows = [torch.addcmul(begin, row, by_y * width) for row in (top, bottom)]
    by_column, by_row = (1 - x, x), (1 - y, y)

    def at(row: Tensor, column: Tensor) -> Tensor:
        """Pixels [b, size, size, 3], each the mean of its picture's step."""
        first = row + column
        if max(most) == 1:
            return _taken(pixels, first)
        total = torch.zeros((*first.shape, 3), device=pixels.device)
        for step_y in range(most[1]):
            for step_x in range(most[0]):
                # Of a picture with a shorter step the same pixel again, which counts nothing.
                counts = (by_y > step_y) & (by_x > step_x)
                total += _taken(pixels, first + counts * (step_y * width + step_x)) * counts[..., None]
        return total / (by_x * by_y)[..., None]

    sampled = at(rows[0], left) * (by_row[0] * by_column[0])
    for row, column, share in (
        (rows[0], right, by_row[0] * by_column[1]),
        (rows[1], left, by_row[1] * by_column[0]),
        (rows[1], right, by_row[1] * by_column[1]),
    ):
        sampled.addcmul_(at(row, column), share)
    return sampled


def _taken(pixels: Tensor, places: Tensor) -> Tensor:
    """The pixels [b, size, size, 3] at `places` [b, size, size]."""
    return pixels.index_select(0, places.reshape(-1)).view(*places.shape, 3)


def _mirrored(place: Tensor, last: Tensor) -> Tensor:
    """Where `place` is in a picture of pixels 0 to `last`, mirrored at its edges as often as needed."""
    apart = place.remainder((2 * last).clamp(min=1)).sub_(last).abs_()
    return torch.sub(last, apart).clamp_(min=0)


def _blurred(pictures: Tensor, kernels: Tensor) -> Tensor:
    """Pictures [b, s, s, 3] under kernels of three weights, given as the outer and the middle one, [b, 2]."""
    outer, middle = (kernels[:, i, None, None, None] for i in (0, 1))
    for axis in (2, 1):
        last = pictures.shape[axis] - 1
        blurred = middle * pictures
        # From the neighbour before, from the one after, and at both edges the mirrored one.
        for to, source, length in ((1, 0, last), (0, 1, last), (0, 1, 1), (last, last - 1, 1)):
            blurred.narrow(axis, to, length).addcmul_(pictures.narrow(axis, source, length), outer)
        pictures = blurred
    return pictures


def within_wedges(maps: Tensor, size: int) -> Tensor:
    """How much of each pixel lies within the wedges' maps [b, 4, 3], 0 to 1 over one pixel: [b, size, size]."""
    index = torch.arange(size, device=maps.device, dtype=torch.float32)
    across, down, start = (maps[:, :, i, None] for i in range(3))
    places = (across * index)[:, :, None, :] + (down * index + start)[:, :, :, None]
    within = (1 - places.abs().amax(dim=1)) * (size / 2) + 0.5
    return within.clamp(0, 1)


def _within(boxes: Tensor, size: int) -> Tensor:
    """Which pixels lie within `boxes` [b, 4], left, top, right, bottom: bool [b, size, size, 1]."""
    index = torch.arange(size, device=boxes.device)
    left, top, right, bottom = (boxes[:, i, None] for i in range(4))
    across, down = (index >= left) & (index < right), (index >= top) & (index < bottom)
    return (down[:, :, None] & across[:, None, :])[..., None]


@dataclass(frozen=True)
class _Constants:
    """What every batch needs again, held on the device: made there anew, each would make the processor wait."""

    luma: Tensor
    erased: Tensor


@functools.cache
def _constants(device: torch.device) -> _Constants:
    luma = torch.tensor(LUMA, dtype=torch.float32)
    return _Constants(luma.to(device), torch.tensor(ERASED, dtype=torch.uint8).to(device))
