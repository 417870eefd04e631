"""How sure averages over classes are: posterior draws of each class's recall, and intervals from them.

An average over classes knows no more than its rarest class, and a class of two to six groups is too few to be
drawn again. So the groups' right answers follow a beta-binomial law: groups of one class share its recall, the
images of a group hang together with one intra-class correlation for all classes, and the recalls of the classes
come from one beta law, whose mean and strength the classes themselves tell. All of it is integrated over grids;
`benchmarks/statistics/coverage.py` measures how often the intervals hold the truth.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray, Interval

__all__ = ["ClassDraws", "GroupCounts", "count_groups", "draw_f1", "draw_recalls", "interval_of_draws"]

IntArray = npt.NDArray[np.int64]

DRAWS = 2000

_MEANS = np.array([0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98])
_STRENGTHS = np.array([1.5, 3.0, 6.0, 12.0, 24.0])
_STRENGTH_WEIGHTS = np.array([1.0, 0.7, 0.5, 0.35, 0.25])
# Midpoints in the root of the correlation, dense near zero, where it matters for groups of many images. The
# density rises with the correlation: taking it for too small narrows an interval, for too large widens it.
_ROOTS = (np.arange(12) + 0.5) / 12
_CORRELATIONS, _CORRELATION_WEIGHTS = _ROOTS**2, _ROOTS**3
_COARSEST, _FINEST = 60, 800


@dataclass(frozen=True)
class GroupCounts:
    """Of each group's images of one class: `right` and `size`; `classes` are their class numbers.

    A group with images of several classes has one entry for each. `wrong` [entries, classes] counts what its
    wrong images were taken for.
    """

    classes: IntArray
    right: IntArray
    size: IntArray
    wrong: IntArray


@dataclass(frozen=True)
class ClassDraws:
    """Draws [draws, classes] of every class's recall, and the mean intra-class correlation behind them.

    Of a class without images the column is NaN.
    """

    recall: FloatArray
    correlation: float


def count_groups(labels: IntArray, predicted: IntArray, groups: npt.ArrayLike, classes: int) -> GroupCounts:
    """Right and wrong answers by group and class of the class numbers `labels` and `predicted` [n]."""
    codes = group_codes(groups)
    cells, entry = np.unique(codes * classes + labels, return_inverse=True)
    taken = np.bincount(entry * classes + predicted, minlength=len(cells) * classes)
    taken = taken.reshape(len(cells), classes)
    of, rows = cells % classes, np.arange(len(cells))
    right, size = taken[rows, of], taken.sum(axis=1)
    taken[rows, of] = 0
    return GroupCounts(of, right, size, taken)


def draw_recalls(counts: GroupCounts, *, draws: int = DRAWS, seed: int = 0) -> ClassDraws:
    """Posterior draws of the classes' recalls."""
    rng = np.random.default_rng(seed)
    present = np.unique(counts.classes)
    angles, edges = _grid(counts)
    prior = _priors(np.sin(angles) ** 2)
    likelihoods = _likelihoods(counts, present, np.sin(angles) ** 2)
    weights = np.log(np.outer(_CORRELATION_WEIGHTS, np.tile(_STRENGTH_WEIGHTS, len(_MEANS))))
    for likelihood in likelihoods:
        weights += np.log(np.maximum(likelihood @ prior.T, np.finfo(np.float64).tiny))
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    picked = rng.choice(weights.size, draws, p=weights.ravel())
    correlation, law = np.divmod(picked, len(prior))
    recall = np.full((draws, counts.wrong.shape[1]), np.nan)
    for code, likelihood in zip(present, likelihoods, strict=True):
        mass = np.cumsum(likelihood[correlation] * prior[law], axis=1)
        bar = rng.random(draws) * mass[:, -1]
        cell = np.minimum((bar[:, None] > mass).sum(axis=1), len(angles) - 1)
        recall[:, code] = np.sin((cell + rng.random(draws)) * edges) ** 2
    return ClassDraws(recall, float(weights.sum(axis=1) @ _CORRELATIONS))


def draw_f1(counts: GroupCounts, found: ClassDraws, *, seed: int = 0) -> FloatArray:
    """Draws of every class's F1, [draws, classes], the number of images of each class being fixed.

    What the wrong images of a class are taken for is drawn from a Dirichlet law; wrong images of one group count
    as many as their correlation leaves, and together with one imagined mistake spread over all other classes.
    """
    rng = np.random.default_rng([seed, 1])
    draws, classes = found.recall.shape
    images = np.bincount(counts.classes, weights=counts.size, minlength=classes)
    named = np.nan_to_num(found.recall) * images
    total = counts.wrong.sum(axis=1, keepdims=True)
    evidence = counts.wrong / (1 + np.maximum(total - 1, 0) * found.correlation)
    for code in np.unique(counts.classes):
        seen = evidence[counts.classes == code].sum(axis=0)
        at = np.flatnonzero(seen)
        others = classes - 1 - len(at)
        share = 1 / max(1, classes - 1)
        shape = np.append(seen[at] + share, max(others * share, 1e-12))
        parts = rng.standard_gamma(shape, (draws, len(shape)))
        parts /= parts.sum(axis=1, keepdims=True)
        parts *= ((1 - found.recall[:, code]) * images[code])[:, None]
        if others:
            rest = np.ones(classes, dtype=bool)
            rest[[*at, code]] = False
            named[:, rest] += parts[:, -1:] / others
        named[:, at] += parts[:, :-1]
    return np.asarray(2 * found.recall * images / (images + named))


def interval_of_draws(drawn: FloatArray, value: float, level: float = 0.95) -> Interval:
    """The interval of a score whose posterior is `drawn` [draws] and whose observed value is `value`.

    Its ends lie midway between those of the shortest interval and of the one that cuts equal tails: near 1 the
    second alone leaves out the truth too often at its upper end, and the first at its lower end.
    """
    ordered = np.sort(drawn)
    count = int(np.ceil(level * len(ordered)))
    widths = ordered[count - 1 :] - ordered[: len(ordered) - count + 1]
    first = int(widths.argmin())
    tails = np.quantile(ordered, [(1 - level) / 2, (1 + level) / 2])
    low, high = (tails[0] + ordered[first]) / 2, (tails[1] + ordered[first + count - 1]) / 2
    return Interval(min(float(low), value), max(float(high), value))


def _grid(counts: GroupCounts) -> tuple[FloatArray, float]:
    """Midpoints of cells of equal width in the arc sine of the recall's root, and that width."""
    most = int(np.bincount(counts.classes, weights=counts.size).max())
    cells = int(np.clip(4 * np.sqrt(most), _COARSEST, _FINEST))
    width = np.pi / 2 / cells
    return np.asarray((np.arange(cells) + 0.5) * width, dtype=np.float64), width


def _priors(recall: FloatArray) -> FloatArray:
    """Mass of each cell of `recall` under each beta law of the classes' recalls, [laws, cells]."""
    means, strengths = np.repeat(_MEANS, len(_STRENGTHS)), np.tile(_STRENGTHS, len(_MEANS))
    # The cells are equally wide in the arc sine, whose Jacobian takes half a unit from either exponent.
    ends = np.stack([means * strengths - 0.5, (1 - means) * strengths - 0.5])
    logs = ends.T @ np.stack([np.log(recall), np.log1p(-recall)])
    mass = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


def _likelihoods(counts: GroupCounts, present: IntArray, recall: FloatArray) -> list[FloatArray]:
    """Beta-binomial likelihood [correlations, cells] of each present class's groups, the highest being 1."""
    from scipy.special import gammaln

    pairs, which = np.unique(np.stack([counts.right, counts.size]), axis=1, return_inverse=True)
    right, size = pairs
    strength = (1 / _CORRELATIONS - 1)[:, None, None]
    yes, no = strength * recall[:, None], strength * (1 - recall[:, None])
    logs = gammaln(yes + right) - gammaln(yes) + gammaln(no + size - right) - gammaln(no)
    logs += gammaln(strength) - gammaln(strength + size)
    found = []
    for code in present:
        times = np.bincount(which.reshape(-1)[counts.classes == code], minlength=len(size))
        total = logs @ times.astype(np.float64)
        found.append(np.exp(total - total.max()))
    return found
