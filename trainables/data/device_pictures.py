"""A run's pictures for a device that draws them itself: all of them there, or a batch at a time.

Tested with the CPU as the device, and run on an NVIDIA H200.
"""

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainables.augmentations.policy import Policy
from trainables.data.augment_maps import Floats
from trainables.data.augment_on_device import crop_on_device, draw_on_device, drawings
from trainables.data.cache import ImageCache
from trainables.data.copies import ring_of, send
from trainables.data.preprocessing import require_size
from trainables.device_errors import is_out_of_memory, release_memory

__all__ = ["cropped", "drawn", "draws_itself", "resident"]

Rows = npt.NDArray[np.int64]

RESIDENT_SHARE = 0.1
"""Of a GPU's free memory for a run's pictures: several trials on one GPU each hold their own, beside their models."""

PIECE = 2**22
"""Pixels copied at once on the way to the device."""


def draws_itself(device: torch.device) -> bool:
    """Whether pictures are drawn on `device`: on NVIDIA's GPUs; a processor draws its own and those of a Mac's GPU."""
    return device.type == "cuda"


@functools.lru_cache(maxsize=1)
def resident(cache: ImageCache, device: torch.device) -> Tensor | None:
    """All pictures of `cache` on `device`, uint8 [p, 3], the same for all trials of the process; None if too many.

    Whether they fit is decided once, by `RESIDENT_SHARE` of the memory that is free then.
    """
    source = cache.pixels
    if source.size > RESIDENT_SHARE * _free_bytes(device):
        return None
    held = _copied(source, device)
    if held is None:
        release_memory()
    return held


def drawn(
    cache: ImageCache,
    rows: Rows,
    numbers: Floats,
    spans: Sequence[slice],
    size: int,
    device: torch.device,
    policy: Policy,
) -> Iterator[Tensor]:
    """The images `rows` augmented with their `numbers` [n, 25], uint8 [b, 3, size, size], a batch for each of `spans`.

    What the epoch needs of the processor is worked out before its first batch and sent at once.
    """
    how = drawings(cache.shapes[rows], numbers, size, policy)
    table = send(torch.from_numpy(how.table), device)
    for span, pixels, places in _pixels(cache, rows, spans, device):
        most = how.most[span].max(axis=0).tolist()
        yield draw_on_device(pixels, places, table[span], most, size, policy)


def cropped(
    cache: ImageCache, rows: Rows, spans: Sequence[slice], size: int, device: torch.device
) -> Iterator[Tensor]:
    """The middle of the picture of every row, uint8 [b, 3, size, size], a batch for each of `spans`."""
    require_size(cache.shapes[rows], size)
    for _, pixels, places in _pixels(cache, rows, spans, device):
        yield crop_on_device(pixels, places, size)


def _pixels(
    cache: ImageCache, rows: Rows, spans: Sequence[slice], device: torch.device
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """For each batch where its pixels are, uint8 [p, 3], and which are each picture's, int64 [b, 3]."""
    places, everything = cache.places[rows], resident(cache, device)
    if everything is None:
        for span in spans:
            sizes = places[span, 1] * places[span, 2]
            places[span, 0] = np.cumsum(sizes) - sizes
    there = send(torch.from_numpy(places), device)
    for span in spans:
        pixels = _sent(cache, rows[span], device) if everything is None else everything
        yield span, pixels, there[span]


def _sent(cache: ImageCache, rows: Rows, device: torch.device) -> Tensor:
    """The pixels of the pictures `rows`, back to back, by way of the ring."""

    def fill(held: np.ndarray) -> None:
        start = 0
        for row in rows.tolist():
            picture = cache[row].reshape(-1, 3)
            held[start : start + len(picture)] = picture
            start += len(picture)

    return ring_of(device).send((int(cache.shapes[rows].prod(axis=1).sum()), 3), torch.uint8, fill)


def _copied(source: np.ndarray, device: torch.device) -> Tensor | None:
    """`source` on `device`, or None where a neighbour was quicker to take the memory."""
    try:
        held = torch.empty(source.shape, dtype=torch.uint8, device=device)
        for start in range(0, len(source), PIECE):
            part = source[start : start + PIECE]
            fill = functools.partial(_copy_into, part)
            held[start : start + PIECE] = ring_of(device).send(part.shape, torch.uint8, fill)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    return held


def _copy_into(source: np.ndarray, held: np.ndarray) -> None:
    held[...] = source


def _free_bytes(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
