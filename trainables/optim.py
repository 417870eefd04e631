"""Parameter groups to an optimizer, and the learning rates of its groups over time.

The fused steps were run on a CPU and run on an NVIDIA H200.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.strategies.groups import ParamGroup

_OPTIMIZERS: Mapping[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
_FUSED_DEVICES = {"cpu", "cuda", "xpu", "mps"}

WARMUP_START = 0.01
"""Share of the learning rate at which a warm-up begins: with 0 the first batch would teach nothing."""

PLATEAU_THRESHOLD = 1e-4
"""Relative improvement below which an epoch does not count as better; torch's ReduceLROnPlateau's default."""

_PLATEAU_EPS = 1e-8


def build_optimizer(groups: Sequence[ParamGroup], config: TrialConfig) -> torch.optim.Optimizer:
    """Adam or AdamW over every group that will ever train, unfrozen or not, each under its name.

    A frozen group's parameters have no gradients, so the optimizer passes them over and keeps no state for
    them. Move the model to its device first. Rates are 0 until `Schedule.set_rates`.
    """
    trained = [group for group in groups if group.from_epoch is not None]
    devices = {parameter.device.type for group in trained for parameter in group.parameters}
    optimizer: torch.optim.Optimizer = _OPTIMIZERS[config.optimizer](
        [{"params": list(group.parameters), "name": group.name, "lr": 0.0} for group in trained],
        weight_decay=config.weight_decay,
        fused=devices <= _FUSED_DEVICES,
    )
    return optimizer


def start_over(optimizer: torch.optim.Optimizer, groups: Sequence[ParamGroup], epoch: int) -> None:
    """Forget what `optimizer` knows of the groups that restart in `epoch`, as a new one would not know it."""
    for group in groups:
        if group.restart is not None and group.restart.epoch == epoch:
            for parameter in group.parameters:
                optimizer.state.pop(parameter, None)


class Schedule:
    """Learning rates of all groups; each group's clock starts in the epoch that it unfreezes in.

    `step`: times gamma every step_size epochs. `cosine`: up over warmup_epochs (at most half of the group's
    time), then down to 0 at the end of max_epochs. `plateau`: times plateau_factor after more than
    plateau_patience epochs whose validation loss is not better; an unfreeze starts the waiting anew, since what
    follows is another model. A group that restarts keeps its new rate from then on, whatever the schedule.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, groups: Sequence[ParamGroup], config: TrialConfig
    ) -> None:
        self._optimizer = optimizer
        self._config = config
        self._base = {g.name: g.learning_rate for g in groups if g.from_epoch is not None}
        self._from_epoch = {g.name: g.from_epoch for g in groups if g.from_epoch is not None}
        self._restarts = {g.name: g.restart for g in groups if g.restart is not None}
        self._plateau = dict(self._base)
        self._best = math.inf
        self._waited = 0

    def set_rates(self, epoch: int, progress: float = 0.0) -> None:
        """Set every group's learning rate for a batch of `epoch`, of which `progress` in [0, 1) is done."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(group["name"], epoch, progress)

    def observe(self, epoch: int, val_loss: float) -> None:
        """Take note of the validation loss at the end of `epoch`; only `plateau` heeds it, and no NaN."""
        if math.isnan(val_loss):
            return
        if epoch in self._from_epoch.values():
            self._best, self._waited = math.inf, 0
        if val_loss < self._best * (1 - PLATEAU_THRESHOLD):
            self._best, self._waited = val_loss, 0
        else:
            self._waited += 1
        if self._config.schedule == "plateau" and self._waited > (self._config.plateau_patience or 0):
            self.reduce(epoch)
            self._waited = 0

    def rates(self) -> dict[str, float]:
        """The learning rates in force by group name, read off the optimizer; 0 while a group is frozen."""
        return {group["name"]: float(group["lr"]) for group in self._optimizer.param_groups}

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on, as plain Python values."""
        return {"plateau": dict(self._plateau), "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._plateau = {name: float(rate) for name, rate in state["plateau"].items()}
        self._best, self._waited = float(state["best"]), int(state["waited"])

    def _rate(self, name: str, epoch: int, progress: float) -> float:
        config, started = self._config, self._from_epoch[name]
        restart = self._restarts.get(name)
        if epoch < started:
            return 0.0
        if restart is not None and epoch >= restart.epoch:
            return restart.learning_rate
        if config.schedule == "plateau":
            return self._plateau[name]
        if config.schedule == "step":
            return self._base[name] * (config.gamma or 1.0) ** ((epoch - started) // (config.step_size or 1))
        length = config.max_epochs - started + 1
        warmup = min(config.warmup_epochs or 0, length / 2)
        return self._base[name] * cosine_factor(epoch - started + progress, warmup, length)

    def reduce(self, epoch: int) -> None:
        """Multiply the rates under `plateau` by plateau_factor at the end of `epoch`, whatever the losses."""
        lowest = self._config.plateau_min_lr or 0.0
        for name, rate in self._plateau.items():
            reduced = max(rate * (self._config.plateau_factor or 1.0), lowest)
            if epoch >= self._from_epoch[name] and rate - reduced > _PLATEAU_EPS:
                self._plateau[name] = reduced


def cosine_factor(time: float, warmup: float, length: float) -> float:
    """Share of the rate at `time` of `length` epochs: linear to 1 at `warmup`, then half a cosine to 0."""
    if time < warmup:
        return WARMUP_START + (1 - WARMUP_START) * time / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (time - warmup) / (length - warmup))))
