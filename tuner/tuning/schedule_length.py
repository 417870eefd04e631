"""How long the trials of a search with a time budget train, and with how many cores each.

A schedule that is cut is not the schedule: where time is short, trials get more cores, and are planned shorter where
all cores are not enough. What that gains in two minutes, `benchmarks/quality/anytime.py` shows.
"""

from dataclasses import dataclass, replace

from tuner.probing.probed import Probed, trial_milliseconds
from tuner.probing.sizes import FEWEST, SHORT, Plan, epoch_seconds
from tuner.tuning.budget import MARGIN, RAY_S, SHIPPING_S

__all__ = ["Schedule", "plan_of", "schedule_in_time"]

TRIAL_SHARE = 0.45
"""Of the time that is left after the probe, what a trial beside others may take: the rest trains what is shipped."""

ON_ALL = 1.25
"""Images of a training on all of them, in those of a trial's: by the usual split four in five train."""


@dataclass(frozen=True)
class Schedule:
    """How many epochs trials have, and on how many cores of a processor each trains."""

    epochs: int
    cores: int = 1


def plan_of(images: int, seconds: float | None, cores: int) -> Plan:
    """What a search plans with: `images` train for `seconds`, None without a limit, on so many `cores`."""
    return Plan(images, seconds, RAY_S + SHIPPING_S, cores)


def schedule_in_time(row: Probed, left: Plan, most: int) -> Schedule:
    """The schedule of trials of the backbone of `row`, `most` epochs at most, in the time that is `left`.

    As many trials train at once as there are cores, each on one, where their whole schedule fits. Else each gets as
    many cores as it takes to fit beside the training of the model that is shipped. Where even all of them are not
    enough for `SHORT` epochs, the trial has the time of that training, too, and its own weights are shipped.
    """
    if left.seconds is None:
        return Schedule(most)
    milliseconds = trial_milliseconds(row.row())
    epoch = max(epoch_seconds(milliseconds, left.images), 1e-9)
    fitting = int(TRIAL_SHARE * left.seconds / epoch)
    if fitting >= most or left.cores <= 1:
        return Schedule(min(most, max(FEWEST, fitting)))
    trainings = 1 + MARGIN * ON_ALL
    for cores in range(2, left.cores + 1):
        alone = replace(left, cores=cores).epochs_alone(milliseconds)
        if alone / trainings >= most:
            return Schedule(most, cores)
    fitting = alone if alone / trainings < SHORT else int(alone / trainings)
    return Schedule(min(most, max(FEWEST, fitting)), cores)
