"""Ways to a device that nobody waits for: a ring of pinned buffers, and a stream beside the training's.

Their order is tested with streams and events that only take notes; run on an NVIDIA H200.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from trainables.data.ahead import AHEAD, ahead

__all__ = ["PinnedRing", "overlapped", "ring_of", "send"]

Item = TypeVar("Item")

DEPTH = AHEAD + 2
"""Buffers of a ring: one a batch that waits, one in use and one that is being filled."""


class PinnedRing:
    """Buffers in memory that a GPU copies from by itself; each is filled again once its last copy is done.

    A buffer grows to the largest batch that passes through it, and is pinned once.
    """

    def __init__(self, device: torch.device, depth: int = DEPTH) -> None:
        self.device = device
        self._on_gpu = device.type == "cuda"
        self._buffers = [self._buffer(0) for _ in range(depth)]
        self._copied: list[Any] = [None] * depth
        self._next = 0
        self._lock = threading.Lock()

    def send(
        self, shape: tuple[int, ...], dtype: torch.dtype, fill: Callable[[np.ndarray], object]
    ) -> Tensor:
        """A tensor of `shape` on the device, of what `fill` writes into the array of that shape that it is given.

        The copy is queued in the current stream, and nobody waits for it.
        """
        with self._lock:
            turn, self._next = self._next, (self._next + 1) % len(self._buffers)
            if self._copied[turn] is not None:
                self._copied[turn].synchronize()
            needed = int(np.prod(shape)) * dtype.itemsize
            if self._buffers[turn].numel() < needed:
                self._buffers[turn] = self._buffer(needed)
            held = self._buffers[turn][:needed].view(dtype).view(shape)
            fill(held.numpy())
            # A copy on a processor, too: the buffer is filled again.
            sent = held.to(self.device, non_blocking=True, copy=True)
            if self._on_gpu:
                self._copied[turn] = torch.cuda.Event()
                self._copied[turn].record(torch.cuda.current_stream(self.device))
            return sent

    def _buffer(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8, pin_memory=self._on_gpu and size > 0)


@functools.cache
def ring_of(device: torch.device) -> PinnedRing:
    """The one ring of this process for `device`."""
    return PinnedRing(device)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`, through the ring of pinned buffers where that is a GPU."""
    if device.type != "cuda" or tensor.numel() == 0:
        return tensor.to(device)
    source = tensor.contiguous().numpy()
    return ring_of(device).send(tuple(tensor.shape), tensor.dtype, lambda held: np.copyto(held, source))


def overlapped(source: Iterator[Item], device: torch.device) -> Iterator[Item]:
    """The items of `source`, made ahead by a thread; on a GPU in a stream of its own, beside the training.

    An item is a tensor or a tuple of them. The stream that reads it waits for it, the processor does not.
    """
    return _received(source, device) if device.type == "cuda" else ahead(source)


def _received(source: Iterator[Item], device: torch.device) -> Iterator[Item]:
    stream = _stream(device)
    # What was put on the device before the first batch is there before it is read.
    stream.wait_stream(torch.cuda.current_stream(device))
    items = ahead(_made(source, stream))
    try:
        for item, made in items:
            reader = torch.cuda.current_stream(device)
            reader.wait_event(made)
            tensors: Any = item if isinstance(item, tuple) else (item,)
            for tensor in tensors:
                # Its memory belongs to the other stream, which may use it again only once this one has read it.
                tensor.record_stream(reader)
            yield item
    finally:
        items.close()


def _made(source: Iterator[Item], stream: Any) -> Iterator[tuple[Item, Any]]:
    """Each item with the event that stands behind its work in `stream`; runs in the preparing thread."""
    with torch.cuda.stream(stream):
        for item in source:
            made = torch.cuda.Event()
            made.record(stream)
            yield item, made


@functools.cache
def _stream(device: torch.device) -> Any:
    return torch.cuda.Stream(device)
