"""Gradients of depthwise convolutions in bf16 on a processor, computed in fp32 where bf16 is many times slower.

oneDNN, which computes convolutions on processors, is quick with depthwise ones in bf16 forward, and slow backward
when the stride is 2 or the kernel 5 pixels or wider. Here those gradients alone are computed in fp32 and rounded to
bf16; all else stays as it was. `benchmarks/speed/depthwise.py` measures what a training step gains.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

__all__ = ["quick_gradients"]

WIDE = 5
"""From this kernel width on bf16 is the slower way to the weights' gradient."""


def quick_gradients(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context of a forward pass whose backward pass is to be quick; changes nothing but on a CPU in bf16."""
    return _Depthwise() if device.type == "cpu" and precision == "bf16" else contextlib.nullcontext()


class _Depthwise(TorchFunctionMode):
    """Sends the convolutions in question by way of `_Convolution`, whatever module asks for them."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.conv2d and torch.is_grad_enabled() and torch.is_autocast_enabled("cpu"):
            return _convolved(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _convolved(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`torch.conv2d`, whose arguments these are."""
    depthwise = groups > 1 and groups == input.shape[1] == weight.shape[0]
    slow = max(_pair(stride)) > 1 or max(weight.shape[2:]) >= WIDE
    if not (depthwise and slow) or isinstance(padding, str):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    dtype = torch.get_autocast_dtype("cpu")
    tensors = (None if one is None else one.to(dtype) for one in (input, weight, bias))
    result: Tensor = _Convolution.apply(*tensors, _pair(stride), _pair(padding), _pair(dilation))
    return result


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


class _Convolution(torch.autograd.Function):
    """A depthwise convolution of inputs [b, c, h, w] with a weight [c, 1, k, k] that is differentiated in fp32."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.geometry = (stride, padding, dilation)
        ctx.biased = bias is not None
        return F.conv2d(inputs, weight, bias, stride, padding, dilation, len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        inputs, weight = ctx.saved_tensors
        wanted = (*ctx.needs_input_grad[:2], ctx.biased and ctx.needs_input_grad[2])
        found = torch.ops.aten.convolution_backward(
            gradients[0].float(),
            inputs.float(),
            weight.float(),
            [len(weight)] if ctx.biased else None,
            *ctx.geometry,
            False,
            [0, 0],
            len(weight),
            wanted,
        )
        return *(None if one is None else one.to(inputs.dtype) for one in found), None, None, None
