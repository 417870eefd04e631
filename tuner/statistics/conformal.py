"""Sets of classes that hold the truth as often as is asked, by split conformal prediction. Needs numpy only.

The least ambiguous set (LAC; Sadinle, Lei and Wasserman 2019): a class is in the set of an image if its probability is
not lower than that of the true class in most calibration images. These must be images that the model was not fitted
to, one of each group, for the photographs of one object are no independent witnesses.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import group_codes

__all__ = [
    "conformal_sets",
    "conformity_scores",
    "enough_from",
    "needed_groups",
    "one_of_each",
    "thresholds",
    "why_every_class",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Scores = tuple[tuple[float, ...], ...]
"""For each class the sorted scores of its calibration images, 1 minus the probability of the true class."""


def one_of_each(groups: npt.ArrayLike, seed: int = 0) -> IntArray:
    """Places [groups] of one image of each of the `groups` [n], drawn with `seed`."""
    codes = group_codes(groups)
    order = np.random.default_rng(seed).permutation(len(codes))
    return np.sort(order[np.unique(codes[order], return_index=True)[1]])


def conformity_scores(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, groups: npt.ArrayLike, seed: int = 0
) -> Scores:
    """The scores of the calibration images by class, one image of each group.

    `probabilities` [n, classes] are the model's for images whose class numbers are `labels` [n].
    """
    found, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    places = one_of_each(groups, seed)
    score = 1 - found[places, truth[places]]
    kinds = truth[places]
    return tuple(tuple(np.sort(score[kinds == code]).tolist()) for code in range(found.shape[1]))


def needed_groups(alpha: float) -> int:
    """Calibration images from which on a threshold exists for sets that miss the truth at most `alpha` of the time.

    >>> needed_groups(0.1)
    9
    """
    return math.ceil(1 / alpha - 1 - 1e-9)


def why_every_class(alpha: float, counts: Sequence[int]) -> str:
    """The sentence on sets that hold every class, since the classes have only so many calibration groups (`counts`).

    >>> why_every_class(0.1, [2, 1])[:79]
    '--alpha 0.1 needs 9 calibration groups of each class and the model has 3 in all'
    """
    groups = sum(counts)
    # Rounded up to two digits: a smaller one would not do.
    digits = max(2, 1 + math.ceil(math.log10(groups + 1)))
    alpha_of_all = math.ceil(10**digits / (groups + 1) - 1e-9) / 10**digits
    return (
        f"--alpha {alpha:g} needs {needed_groups(alpha)} calibration groups of each class and the model has {groups} in"
        f" all: every set holds every class; from --alpha {alpha_of_all:g} on sets are smaller, and may miss the"
        " true class more often than alpha says"
        f"{enough_from(min(counts))}"
    )


def enough_from(groups: int) -> str:
    """From which alpha on a class with so many calibration `groups` has enough; empty where none below one half is.

    >>> enough_from(3)[:56], enough_from(0)
    ('; from --alpha 0.25 on each class has enough groups, but', '')
    """
    if groups < 1:
        return ""
    alpha = math.ceil(100 / (groups + 1)) / 100
    return (
        f"; from --alpha {alpha:g} on each class has enough groups, but sets may then miss the true class of"
        f" {100 * alpha:.0f} % of the images"
    )


def thresholds(scores: Sequence[Sequence[float]], alpha: float) -> FloatArray:
    """For each class the highest score with which it is in a set [classes]; infinite where nothing can be said.

    A class with `needed_groups` calibration images has a threshold of its own, so that its own images are covered
    1 - alpha of the time (Vovk 2012). One with fewer has that of all classes together or its own highest score,
    whichever is more: n images of its own cover it n times in n + 1 at least.

    >>> thresholds([[0.1 * n for n in range(10)], [0.95]], 0.1).tolist()
    [0.9, 0.95]
    """
    together = _quantile(sorted(score for own in scores for score in own), alpha)
    enough = needed_groups(alpha)
    return np.array(
        [_quantile(own, alpha) if len(own) >= enough else max(together, *own, 0.0) for own in scores]
    )


def conformal_sets(probabilities: npt.ArrayLike, limits: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which classes are in the set of each image [n, classes], by `probabilities` [n, classes].

    `limits` [classes] are from `thresholds`. A set may be empty: then even the likeliest class is less likely than the
    true class is in 1 - alpha of the calibration images.
    """
    return np.asarray(1 - np.asarray(probabilities, dtype=np.float64) <= np.asarray(limits))


def _quantile(ordered: Sequence[float], alpha: float) -> float:
    """The score that a new image stays below with a chance of 1 - alpha at least; `ordered` is sorted."""
    rank = math.ceil((len(ordered) + 1) * (1 - alpha) - 1e-9)
    return ordered[rank - 1] if rank <= len(ordered) else math.inf
