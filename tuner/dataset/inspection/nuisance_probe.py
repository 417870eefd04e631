"""A quick probe: which class a few numbers of a picture speak for, at a cost that hardly grows with the classes.

Each number is cut at its quantiles into bins, and joins its bins as a number, too. Ridge regression of every class's
membership on these columns is Fisher's linear discriminant of the class against all others. All classes share one
matrix to be solved, and folds and parts of the columns are sums and blocks of one matrix of products.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tuner.statistics.auroc import area

__all__ = ["out_of_fold_area", "out_of_fold_scores"]

BINS = 16
"""Bins of a number at most; fewer of few images."""

IN_A_BIN = 8
"""Images of a bin, about, from which follows how many bins few images have."""

RIDGE = 3.0
"""What the diagonal of the matrix gets: so many images of a bin count half."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Fold:
    """Of the images of one fold: products of the columns [d, d], sums of the columns by class [classes, d]."""

    products: Floats
    sums: Floats
    sizes: Floats


def out_of_fold_scores(
    kinds: Mapping[str, Floats], given: Ints, folds: Ints, classes: int
) -> tuple[Floats, dict[str, Floats]]:
    """Scores [n, classes] of each image by a probe on the other folds: from all numbers, and from each kind alone.

    `kinds` are numbers [n, d]; `given` [n] are classes, `folds` [n] the folds, -1 for images that are never held out.
    The higher a score, the more the image is like the class; those of images that are never held out are NaN.
    """
    blocks = {kind: _columns(values) for kind, values in kinds.items()}
    ends = np.cumsum([0, *(block.shape[1] for block in blocks.values())])
    columns = np.hstack([np.zeros((len(given), 0)), *blocks.values()])
    held = np.unique(folds[folds >= 0])
    parts = {fold: _summed(columns[folds == fold], given[folds == fold], classes) for fold in (-1, *held)}
    spans = [slice(start, end) for start, end in pairwise(ends.tolist())]
    whole, *alone = (_scores(columns, folds, parts, span) for span in (slice(0, columns.shape[1]), *spans))
    return whole, dict(zip(blocks, alone, strict=True))


def out_of_fold_area(mine: npt.NDArray[np.bool_], scores: Floats) -> float:
    """Area under the ROC curve of `scores` [n] for the images `mine` [n]; NaN scores are left out; 0.5 for one side.

    >>> out_of_fold_area(np.array([True, False, True, False]), np.array([0.9, 0.1, 0.5, 0.5]))
    0.875
    """
    judged = np.isfinite(scores)
    found = area(mine[judged], scores[judged])
    return 0.5 if np.isnan(found) else found


def _columns(values: Floats) -> Floats:
    """The numbers [n, d] themselves, standardised, and which bin each lies in."""
    most = int(np.clip(len(values) // IN_A_BIN, 2, BINS))
    found = []
    for number in values.T:
        distinct = np.unique(number)
        if len(distinct) == 1:
            continue
        found.append(((number - number.mean()) / number.std())[:, None])
        cuts = (
            (distinct[1:] + distinct[:-1]) / 2
            if len(distinct) <= most
            else np.unique(np.quantile(number, np.arange(1, most) / most))
        )
        found.append(np.eye(len(cuts) + 1)[np.searchsorted(cuts, number)])
    return np.hstack(found) if found else np.zeros((len(values), 0))


def _summed(columns: Floats, given: Ints, classes: int) -> _Fold:
    sums = np.zeros((classes, columns.shape[1]))
    if len(given):
        order = np.argsort(given, kind="stable")
        there, first = np.unique(given[order], return_index=True)
        sums[there] = np.add.reduceat(columns[order], first)
    return _Fold(columns.T @ columns, sums, np.bincount(given, minlength=classes).astype(np.float64))


def _scores(columns: Floats, folds: Ints, parts: Mapping[int, _Fold], span: slice) -> Floats:
    """Out-of-fold scores from the columns of `span`."""
    classes = len(parts[-1].sums)
    found = np.full((len(columns), classes), np.nan)
    for fold in parts:
        if fold < 0:
            continue
        others = [part for number, part in parts.items() if number != fold]
        sizes = np.sum([part.sizes for part in others], 0)
        sums = np.sum([part.sums[:, span] for part in others], 0)
        mean = sums.sum(0) / sizes.sum()
        # centred on both sides, so that the constant needs no column and is not shrunk
        products = np.sum([part.products[span, span] for part in others], 0) - sizes.sum() * np.outer(
            mean, mean
        )
        products[np.diag_indices_from(products)] += RIDGE
        weights = np.linalg.solve(products, (sums - sizes[:, None] * mean).T)
        scores = (columns[folds == fold][:, span] - mean) @ weights
        # pictures that were taken alike score alike, whatever the order of additions
        found[folds == fold] = np.round(scores, 9)
    return found
