"""The rungs of a run, and what Optuna is told of a trial there. Plain Python, no Ray.

Optuna's TPE ranks stopped trials by their step first, by their value second. So a step has to be what trials are
compared at: the rung, a cost in full epochs. A frozen trial of five epochs has spent next to nothing, and five steps
would rank it above every trial that was stopped at a lower step with a better value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainables import epoch_cost, strategies
from trainables.config import TrialConfig
from trainables.metrics import METRICS
from tuner.probing.probed import trial_milliseconds

__all__ = ["ROUNDING", "Ladder", "Steps", "ladder_of", "relative_costs"]

ROUNDING = 1e-6
"""Sums of thirds miss whole numbers by less."""


@dataclass(frozen=True)
class Ladder:
    """Where rungs stand, as costs in full epochs, and how many epochs a whole network trains before it is judged."""

    milestones: tuple[int, ...]
    grace_period: int

    def reached(self, before: float, total: float, full_epochs: int) -> int | None:
        """The highest rung between a cost of `before`, which is left out, and of `total`; None if there is none.

        A rung that is reached before everything has trained for `grace_period` epochs stays unused.
        """
        if full_epochs < self.grace_period:
            return None
        return max(
            (rung for rung in self.milestones if before + ROUNDING < rung <= total + ROUNDING), default=None
        )


def ladder_of(max_epochs: int, grace_period: int, reduction_factor: float) -> Ladder:
    """Rungs at grace_period * reduction_factor ** k, rounded, below `max_epochs`."""
    rungs, rung = set(), float(grace_period)
    while round(rung) < max_epochs:
        rungs.add(round(rung))
        rung *= reduction_factor
    return Ladder(tuple(sorted(rungs)), grace_period)


def relative_costs(probe: Mapping[str, Any] | None) -> dict[str, float]:
    """What a full epoch of each backbone costs, in full epochs of the first one that the document `probe` advises.

    That is the seconds that an image took in the probe, at the side that the run has. Empty without a probe, and for
    one of an earlier version: then a full epoch costs 1 whatever the backbone.
    """
    if probe is None or not probe["advised"]:
        return {}
    seconds = {
        row["model"]: trial_milliseconds(row)
        for row in probe["backbones"]
        if row.get("image_size") == probe["image_size"]
    }
    reference = seconds.get(probe["advised"][0], 0.0)
    return {name: own / reference for name, own in seconds.items()} if reference > 0 else {}


@dataclass(frozen=True)
class Steps:
    """Turns the epochs of a trial into the intermediate values that Optuna is told.

    Without a `ladder` nobody is stopped early, and every epoch is a step. `cached` as `trainables.epoch_cost` asks;
    `relative` as `relative_costs` gives it.
    """

    ladder: Ladder | None = None
    cached: bool = True
    relative: Mapping[str, float] = field(default_factory=dict)

    def of(
        self, config: TrialConfig, epochs: Mapping[int, Mapping[str, Any]], metric: str
    ) -> dict[int, float]:
        """By rung the best value of `metric` up to the epoch that reached it, which is what ASHA compares there.

        An epoch before the first result of the strategy leaves no value.
        """
        if self.ladder is None:
            return {epoch: float(epochs[epoch][metric]) for epoch in sorted(epochs)}
        told: dict[int, float] = {}
        values: list[float] = []
        before = 0.0
        for epoch in sorted(epochs):
            if epoch >= strategies.first_result(config.strategy):
                values.append(float(epochs[epoch][metric]))
            total = epoch_cost.spent(config, epoch, cached=self.cached) * self.relative.get(config.model, 1.0)
            rung = self.ladder.reached(before, total, int(epochs[epoch]["full_epochs"]))
            if rung is not None:
                told[rung] = METRICS[metric].best(values)
            before = total
        return told
