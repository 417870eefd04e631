"""Networks without numbers: what their shapes tell, or what a file's numbers are put into."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["without_numbers"]

_FILL = {
    getattr(torch.Tensor, name)
    for name in ("normal_", "uniform_", "erfinv_", "mul_", "add_", "clamp_", "zero_", "fill_")
}
"""What initialises weights in place. On the meta device these run through PyTorch's references in Python, to no end."""


class _Unfilled(TorchFunctionMode):
    """While entered, tensors of the meta device are not initialised."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _FILL and args and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def without_numbers() -> Iterator[None]:
    """Networks that are built while entered are on the meta device: parameters have shapes and no numbers.

    The device alone would also run every initialisation, for nothing.

    >>> with without_numbers():
    ...     layer = torch.nn.Linear(1000, 1000)
    >>> layer.weight.shape, layer.weight.is_meta
    (torch.Size([1000, 1000]), True)
    """
    with torch.device("meta"), _Unfilled():
        yield
