"""What a probe needs to know of groups: folds that keep them whole, and how sure a mean over their images is."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["FOLDS", "grouped_folds", "half_width"]

FOLDS = 5
Floats = npt.NDArray[np.float64]


def grouped_folds(
    labels: npt.NDArray[np.int64], groups: Sequence[str], seed: int, count: int = FOLDS
) -> npt.NDArray[np.int64]:
    """A fold for each image [n], whole groups in one, each class spread over all; -1 where a class has only one."""
    random = np.random.default_rng(seed)
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    fold_of = np.full(len(first), -1, dtype=np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels[first] == label)
        if len(own) > 1:
            fold_of[random.permutation(own)] = np.arange(len(own)) % count
    if (fold_of < 0).all():
        # One group a class: a group has to be its own fold, or nothing could be chosen.
        fold_of = np.arange(len(first)) % count
    found: npt.NDArray[np.int64] = fold_of[codes]
    return found


def half_width(values: Floats, groups: Sequence[str]) -> float | None:
    """Half of a 95 % interval of the mean of `values` [n], whole `groups` being what varies; None for fewer than two.

    The mean is a ratio of sums over groups, so its error is that of the residuals' sums (Cochran 1977, section 6.4).
    """
    from scipy import stats

    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(codes.max()) + 1
    if count < 2:
        return None
    sums = np.bincount(codes, values - values.mean())
    error = np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values)
    return float(stats.t.ppf(0.975, count - 1) * error)
