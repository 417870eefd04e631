"""Groups of images: their numbers, how many of equal size they are worth, and folds that keep them whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FOLDS", "effective_groups", "group_codes", "grouped_folds"]

FOLDS = 5


def group_codes(groups: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The number [n] of each image's group, from 0 on, in the order of the sorted `groups` [n].

    >>> group_codes(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    return np.asarray(np.unique(np.asarray(groups), return_inverse=True)[1], dtype=np.int64).reshape(-1)


def effective_groups(sizes: npt.NDArray[np.signedinteger[Any]]) -> float:
    """How many groups of equal size say as much as groups of `sizes` [groups] images, if images of a group are alike.

    It is Kish's (1965) effective sample size; between 1 and the number of groups.

    >>> effective_groups(np.array([2, 2, 2])), effective_groups(np.array([9, 1]))
    (3.0, 1.2195121951219512)
    """
    return float(sizes.sum() ** 2 / (sizes.astype(np.float64) ** 2).sum())


def grouped_folds(
    labels: npt.NDArray[np.int64], groups: Sequence[str], seed: int, count: int = FOLDS
) -> npt.NDArray[np.int64]:
    """A fold for each image [n], whole groups in one, each class spread over all; -1 where a class has only one."""
    random = np.random.default_rng(seed)
    codes = group_codes(groups)
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
