"""Values that come back from a device while it goes on computing.

The pinned copies and their events are tested with ones that only take notes; run on an NVIDIA H200.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["Readback", "read_back", "read_back_each"]


class Readback:
    """A tensor on its way to the processor; nothing waits before `value` is asked for.

    Only of an NVIDIA GPU does anything come back later; of other devices it is here at once.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._copied: Any = None
        if tensor.device.type != "cuda":
            self._here = tensor.cpu()
            return
        self._here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._here.copy_(tensor, non_blocking=True)
        self._copied = torch.cuda.Event()
        self._copied.record(torch.cuda.current_stream(tensor.device))

    @property
    def ready(self) -> bool:
        """Whether `value` would not wait."""
        return self._copied is None or bool(self._copied.query())

    @property
    def value(self) -> Tensor:
        """The tensor on the processor, once the device has computed it."""
        if self._copied is None:
            return self._here
        self._copied.synchronize()
        # Pinned memory is scarce, and a reader may keep what it gets.
        return self._here.clone()


def read_back(tensor: Tensor) -> Tensor:
    """`tensor` on the processor; only what leads to it is waited for, not all of the device."""
    return Readback(tensor).value


def read_back_each(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """Each of `tensors` on the processor, while the device computes the next one."""
    coming: Readback | None = None
    for tensor in tensors:
        before, coming = coming, Readback(tensor)
        if before is not None:
            yield before.value
    if coming is not None:
        yield coming.value
