"""Which side images are searched at: the one whose gain, as frozen features show it, is worth its cost.

The candidates are probed at `FIRST`, the two best of them at larger sides, and at a smaller one where fine-tuning at
the first would take too long. Two sides are compared by the paired losses of their best backbones, whole groups being
what varies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuner.probing.probed import Probed, trial_milliseconds
from tuner.statistics.means import half_width

__all__ = [
    "FEWEST",
    "FIRST",
    "LARGER",
    "SHORT",
    "SMALLER",
    "Chosen",
    "Plan",
    "affords",
    "at_side",
    "choose_size",
    "epoch_seconds",
    "gain",
    "with_cores",
]

FIRST, LARGER, SMALLER = 160, (224,), 96
"""Sides in pixels. A picture of 224 has twice the pixels of one of 160, one of 96 a third."""

AFFORDABLE = 1 / 60
"""Of the time budget, what an epoch may take at most at a side to fine-tune at: two rounds of trials of twelve epochs,
the folds and the model that is shipped take all of it then. In a short time many epochs at a small side are better than
few at a larger one."""

LEAST_AFFORDABLE = 1 / 30
"""The same at the smallest side: what else there is are frozen features, which even a few trials of twelve epochs beat
(`benchmarks/quality/small_sets.py`)."""

FEWEST = 3
"""Epochs below which a trial is not worth to be begun."""

SHORT = 8
"""Epochs of a schedule that a short time budget is planned for, at least."""

PROBING = 0.2
"""Of a time budget, what is gone when trials are planned, about."""

LATE = 1.5
"""By how much longer an epoch may take than a timed step says, before a schedule that is planned is cut."""

EFFICIENCY = 0.8
"""Of cores beside the first one, when a single network trains on all of them."""

WORTH = 0.35
"""A side at which there is no time to fine-tune is taken if the frozen features' loss there is this share, or less, of
that at the largest side at which there is."""


@dataclass(frozen=True)
class Plan:
    """What a search would train: how many images, in how many seconds; None without a limit.

    Of the seconds `around` pass beside all training. `cores` are those that a trial gets where it trains alone.
    """

    images: int
    seconds: float | None = None
    around: float = 0.0
    cores: int = 1

    def after(self, seconds: float) -> "Plan":
        """The same when so many `seconds` have passed."""
        return self if self.seconds is None else replace(self, seconds=max(0.0, self.seconds - seconds))

    def epochs_alone(self, milliseconds: float) -> int:
        """How many epochs a single trial has time for, on all cores, whose images take so long each on one."""
        if self.seconds is None:
            raise ValueError("without a limit there is time for any number")
        epoch = with_cores(epoch_seconds(milliseconds, self.images), self.cores)
        return int(max(0.0, self.seconds - self.around) / max(LATE * epoch, 1e-9))


@dataclass(frozen=True)
class Chosen:
    """A side in pixels and the sentence that says why."""

    image_size: int
    reason: str


def epoch_seconds(milliseconds: float, images: int) -> float:
    """How long an epoch over `images` takes if a training step takes so long an image."""
    return images * milliseconds / 1e3


def with_cores(seconds: float, cores: float) -> float:
    """How long a training takes on so many `cores` that takes `seconds` on one.

    >>> with_cores(9.0, 1), with_cores(9.0, 2)
    (9.0, 5.0)
    """
    return seconds / (1 + EFFICIENCY * (max(1.0, cores) - 1))


def affords(row: Probed, plan: Plan) -> bool:
    """Whether the time is enough to fine-tune the backbone of `row` at its side.

    At the first side and smaller ones a single schedule is enough, on all cores.
    """
    if plan.seconds is None:
        return True
    milliseconds = trial_milliseconds(row.row())
    share = LEAST_AFFORDABLE if row.image_size <= SMALLER else AFFORDABLE
    if epoch_seconds(milliseconds, plan.images) <= share * plan.seconds:
        return True
    left = plan.after(PROBING * plan.seconds)
    return row.image_size <= FIRST and plan.cores > 1 and left.epochs_alone(milliseconds) >= SHORT


def at_side(row: Probed, image_size: int) -> Probed:
    """What is expected of the time that the backbone of `row` takes at another side: it goes with the pixels."""
    more = (image_size / row.image_size) ** 2
    return replace(
        row,
        image_size=image_size,
        milliseconds=row.milliseconds * more,
        gpu_milliseconds=None if row.gpu_milliseconds is None else row.gpu_milliseconds * more,
        step_milliseconds=None if row.step_milliseconds is None else row.step_milliseconds * more,
    )


def gain(small: Probed, large: Probed, groups: Sequence[str]) -> tuple[float, float]:
    """By how many nats per image `large` is better than `small` on the same images, and half its 95 % interval.

    Infinity where there are too few groups to tell.
    """
    difference = np.asarray(small.losses) - np.asarray(large.losses)
    half = half_width(difference, groups)
    return float(difference.mean()), np.inf if half is None else half


def choose_size(rows: Sequence[Probed], groups: Sequence[str], plan: Plan) -> Chosen:
    """The side to search at, of those that `rows` were probed at; `groups` [n] are those of the images of `losses`.

    From the smallest side up, a larger one takes over if its gain is more than its standard error and it leaves time to
    fine-tune, or if its frozen features alone do much better than those of the side before.
    """
    best = {row.image_size: row for row in sorted(rows, key=lambda one: -one.log_loss)}
    sizes = sorted(best)
    # One backbone with time to fine-tune is enough: it need not be the one whose frozen features are best.
    fits = {size: any(affords(row, plan) for row in rows if row.image_size == size) for size in sizes}
    chosen, said = sizes[0], []
    for size in sizes[1:]:
        more, half = gain(best[chosen], best[size], groups)
        by = f"{size} px gains {more:.3f} nats (± {half:.3f}) over {chosen} px"
        if not more > half / 2:
            said.append(f"{by}, which may be chance")
        elif fits[size] or not fits[chosen]:
            said.append(by)
            chosen = size
        elif best[size].log_loss <= WORTH * best[chosen].log_loss:
            said.append(f"{by}, more than fine-tuning at {chosen} px is likely to gain")
            chosen = size
        else:
            said.append(f"{by}, but leaves no time to fine-tune")
    if len(sizes) == 1:
        said.append("the only side that was probed")
    return Chosen(chosen, f"images of {chosen} px: {'; '.join(said)}")
