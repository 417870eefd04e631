"""Looking out for a loss that is not finite, without holding up the device; run on an NVIDIA H200."""

import math

import torch
from torch import Tensor

from trainables.errors import Diverged
from trainables.readback import Readback

__all__ = ["LOOK_EVERY", "LateWatch", "Watch", "require_finite", "watch_for"]

LOOK_EVERY = 8
"""Batches between two looks at the loss on an accelerator."""


def require_finite(train_loss: float, epoch: int, where: str) -> None:
    """Raise Diverged if a loss so far was not finite, which the mean of them shows for ever after."""
    if not math.isfinite(train_loss):
        raise Diverged(f"epoch {epoch}, {where}: train_loss {train_loss}")


class Watch:
    """Looks at the loss of every `every`-th batch, which an accelerator has to finish its work for."""

    def __init__(self, every: int) -> None:
        self.every = every

    def look(self, loss_sum: Tensor, epoch: int, batch: int, total: int) -> None:
        """Raise Diverged if the sum of losses up to the 1-based `batch` of `total` is not finite."""
        if batch % self.every == 0:
            require_finite(float(loss_sum), epoch, _where(batch, total))


class LateWatch(Watch):
    """Looks at what the loss was some batches ago, as soon as it has come back; waits for nothing.

    At most one look is on its way. What it has not seen by the end of an epoch, whoever reads the epoch's loss does.
    """

    _asked: tuple[Readback, int, int] | None = None

    def look(self, loss_sum: Tensor, epoch: int, batch: int, total: int) -> None:
        """Raise Diverged if the sum of losses was not finite when it was last asked for in this epoch."""
        if self._asked is not None and self._asked[0].ready:
            (answer, asked_in, asked_at), self._asked = self._asked, None
            if asked_in == epoch:
                require_finite(float(answer.value), epoch, _where(asked_at, total))
        if self._asked is None and batch % self.every == 0:
            self._asked = (Readback(loss_sum), epoch, batch)


def watch_for(device: torch.device) -> Watch:
    """Every batch on a processor, late on an NVIDIA GPU, now and then on others."""
    if device.type == "cuda":
        return LateWatch(LOOK_EVERY)
    return Watch(1 if device.type == "cpu" else LOOK_EVERY)


def _where(batch: int, total: int) -> str:
    return f"batch {batch} of {total}"
