"""An exponential moving average of the weights, by which a trial is judged and kept (Polyak and Juditsky 1992).

Between epochs the classifier holds the average, so that whoever validates, keeps or exports it needs to know nothing;
during an epoch it holds the weights that are trained.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of `model`'s floating-point parameters and buffers under `decay`, and the weights being trained.

    Early on the decay is at most (1 + steps) / (10 + steps), or the average would long remember the start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._here = {
            name: tensor
            for name, tensor in (*model.named_parameters(), *model.named_buffers())
            if tensor.is_floating_point()
        }
        self._other: dict[str, Tensor] = {}

    @torch.no_grad()
    def begin(self) -> None:
        """Put the weights that are trained into the model, for an epoch."""
        if self._other:
            self._swap()
        else:
            self._other = {name: tensor.detach().clone() for name, tensor in self._here.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after a step into the average."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(
            list(self._other.values()), [tensor.detach() for tensor in self._here.values()], 1 - decay
        )

    @torch.no_grad()
    def restart(self) -> None:
        """Let the average be the weights as they are: what came before was no training."""
        for name, tensor in self._here.items():
            self._other[name].copy_(tensor)

    @torch.no_grad()
    def end(self) -> None:
        """Put the average into the model, for what follows the epoch."""
        self._swap()

    def state_dict(self) -> dict[str, object]:
        """What `load_state_dict` needs beside the model's own weights, between epochs."""
        return {
            "steps": self.steps,
            "trained": {name: tensor.detach() for name, tensor in self._other.items()},
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from `state`; the model's weights, which are the average, are loaded by whoever has them."""
        trained: Any = state["trained"]
        self.steps = int(cast(int, state["steps"]))
        self._other = {name: trained[name].to(tensor.device).clone() for name, tensor in self._here.items()}

    def _swap(self) -> None:
        for name, tensor in self._here.items():
            kept = tensor.detach().clone()
            tensor.copy_(self._other[name])
            self._other[name] = kept
