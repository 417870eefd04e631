"""Which epoch of a trial is its best by validation loss, seen through the noise of a few validation images.

The lowest of many epochs is low by luck too. Two epochs answer the same images, so the losses of the images say how
much of the distance between them is chance. An epoch that is worse than the lowest one before it by no more than half
a standard error of their paired difference takes its place: it has been trained for longer, and rates fall towards the
end of a schedule. `benchmarks/statistics/choice.py` compares it with the lowest epoch on three kinds of images. What an
epoch is then worth is smoothed with the one before: within two standard errors all of their distance is taken for
chance, beyond, the less the farther they lie apart. With thousands of images next to nothing is chance. No later epoch
changes what an earlier one counts: weights have to be kept when an epoch ends.

An epoch that only solves the head that is trained from then on is no result of the training: that head is what
`linear_probe` tries. Where few images happen to suit it, a fine-tuning would count by a network that was never tuned.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["best_epoch", "smoothed"]

STANDARD_ERRORS = 2.0
"""A distance between two epochs of so many standard errors at most is chance, where an epoch is smoothed."""

LATER = 0.5
"""By so many standard errors a later epoch may be worse than the lowest one before it, and takes its place."""

FloatArray = npt.NDArray[np.floating]


def best_epoch(
    losses: Sequence[FloatArray],
    groups: npt.NDArray[np.int64],
    standard_errors: float = LATER,
    *,
    first: int = 0,
) -> int:
    """The place, from 0 on, of the best of the epochs with these `losses` [images], of images in `groups` [images].

    Images of a group, numbered from 0 on, count together. Epochs before place `first` are passed over, unless there
    are no others.
    """
    best = lowest = min(first, len(losses) - 1)
    for place in range(best + 1, len(losses)):
        worse = np.asarray(losses[place], dtype=np.float64) - losses[lowest]
        if worse.mean() <= standard_errors * _error_of_mean(worse, groups):
            best = place
        if worse.mean() < 0:
            lowest = place
    return best


def smoothed(
    losses: Sequence[FloatArray],
    place: int,
    groups: npt.NDArray[np.int64],
    standard_errors: float = STANDARD_ERRORS,
    *,
    first: int = 0,
) -> npt.NDArray[np.float64]:
    """The loss of each image [images] at one epoch, moved towards the mean of it and the epoch before.

    It moves by the share of chance in their distance. Images of a group, numbered from 0 on, count together. Epochs
    before place `first` are passed over.
    """
    now = np.asarray(losses[place], dtype=np.float64)
    if place <= first:
        return now
    middle = (now + losses[place - 1]) / 2
    distance = abs(float((now - middle).mean()))
    chance = standard_errors * _error_of_mean(now - middle, groups)
    share = 1.0 if distance <= chance else (chance / distance) ** 2
    return np.asarray(now + share * (middle - now))


def _error_of_mean(values: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]) -> float:
    """The standard error of the mean of `values` over whole groups; see `tuner.statistics.means`."""
    count = int(groups.max()) + 1
    if count < 2:
        return 0.0
    residuals = np.bincount(groups, weights=values - values.mean(), minlength=count)
    return float(np.sqrt((residuals**2).sum() * count / (count - 1)) / len(values))
