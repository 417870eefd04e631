"""How much a metric would move on other test images: its standard error, whole groups being what varies.

Where a metric averages over classes, each class is judged by its own groups, since they alone tell how groups of that
class differ; a class with a single group leaves the metric without an error. The degrees of freedom follow from how
many groups bear the variance (Satterthwaite 1946). What each group adds is known for a mean over images, and for the
difference between two models in most metrics (`Metric.exchanged`); otherwise one group after the other is left out (the
jackknife, class by class; Efron and Tibshirani 1993, chapter 11). A metric that hangs on a quantile does not move
smoothly when a group is left out: its groups are drawn again.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.metrics import Answers, Metric
from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray

__all__ = [
    "SAME",
    "Spread",
    "groups_by_class",
    "image_parts",
    "single_groups",
    "spread",
    "standard_error",
]

IntArray = npt.NDArray[np.int64]

MOST_BLOCKS = 400
"""Groups are left out one by one up to so many; of more, blocks of groups of one class, about so many in all."""

DRAWS = 400

SAME = 1e-12
"""Differences below it are rounding: the same recalls in another order add up to another last bit."""


@dataclass(frozen=True)
class Spread:
    """The variance of a metric, or of a difference in it, over new test sets of as many groups, and how sure that is.

    `freedom` are Student's degrees of freedom, at least 1. `unseen` is the variance that one more differing group would
    add in the smallest class whose groups show no difference, for a difference of 1; 0 where all classes show some.
    """

    variance: float
    freedom: float
    unseen: float = 0.0


def standard_error(metric: Metric, answers: Answers, groups: npt.ArrayLike, *, seed: int = 0) -> float:
    """The standard error of `metric` over whole `groups` [n].

    NaN for fewer than two groups, and where a class that counts in `metric` has a single one.
    """
    found = spread(metric, (answers,), group_codes(groups), seed=seed)
    return math.nan if found is None else math.sqrt(found.variance)


def single_groups(metric: Metric, answers: Answers, groups: npt.ArrayLike) -> tuple[int | None, ...]:
    """The classes whose single group keeps `metric` from having an error, an interval or a test; none is the rule.

    A mean over images, as accuracy and log loss, does not depend on any one class. A metric of one class against the
    rest depends on two sides; None stands for the rest.
    """
    if metric.values is not None:
        return ()
    sides = _sides(metric, answers)
    alone = np.flatnonzero(groups_by_class(sides, group_codes(groups)) == 1).tolist()
    if metric.needs_positive:
        return tuple(answers.positive if side else None for side in alone)
    return tuple(alone)


def groups_by_class(labels: IntArray, groups: npt.ArrayLike, classes: int = 0) -> IntArray:
    """In how many of the `groups` [n] each class has images, [classes]; `labels` [n] are class numbers."""
    codes = group_codes(groups)
    count = max(int(labels.max()) + 1, classes)
    return np.asarray(np.bincount(np.unique(codes * count + labels) % count, minlength=count))


def spread(
    metric: Metric,
    models: tuple[Answers, ...],
    codes: IntArray,
    *,
    parts: FloatArray | None = None,
    seed: int = 0,
) -> Spread | None:
    """How far `metric` of the one of `models`, or of the first minus the second, varies with the groups `codes` [n].

    `parts` [n] is what `image_parts` gives for `models`, if that is at hand. None for fewer than two groups, and where
    a class that counts has a single one.
    """
    if codes.max() == 0 or single_groups(metric, models[0], codes):
        return None
    sides = _sides(metric, models[0])
    strata = _strata(sides, codes)
    parts = image_parts(metric, models) if parts is None else parts
    if parts is not None:
        return _of_parts(parts, sides, codes, strata)
    vary = _left_out if metric.smooth else _drawn_again
    return vary(metric, models, codes, strata, seed)


def image_parts(metric: Metric, models: tuple[Answers, ...]) -> FloatArray | None:
    """What each image [n] adds to the value of one model or to the difference of two; None where that is not known."""
    if metric.values is not None:
        values = [metric.values(one) / len(one.labels) for one in models]
        return values[0] if len(models) == 1 else values[0] - values[1]
    if metric.exchanged is not None and len(models) == 2:
        return metric.exchanged(*models)
    return None


def _sides(metric: Metric, answers: Answers) -> IntArray:
    """The side [n] of each image, whose groups vary by themselves: its class, where a metric averages over classes."""
    if metric.values is not None:
        return np.zeros_like(answers.labels)
    if metric.needs_positive:
        return np.asarray(answers.labels == answers.positive, dtype=np.int64)
    return answers.labels


def _of_parts(parts: FloatArray, sides: IntArray, codes: IntArray, strata: IntArray) -> Spread:
    """From what each image adds: on each side a ratio of sums, as in `means`; the strata's variances add up."""
    images = np.maximum(np.bincount(sides), 1)
    rest = parts - (np.bincount(sides, weights=parts) / images)[sides]
    count = np.bincount(strata)
    added: FloatArray = np.bincount(codes, weights=rest).astype(np.float64)
    return _by_stratum(added * np.sqrt(count / np.maximum(count - 1, 1))[strata], strata, count)


def _strata(sides: IntArray, codes: IntArray) -> IntArray:
    """The stratum [groups] of each group: its side, of a group with images of several the one with fewest groups."""
    count = int(sides.max()) + 1
    cells = np.unique(codes * count + sides)
    group, side = np.divmod(cells, count)
    order = np.lexsort((side, np.bincount(side)[side], group))
    first = np.unique(group[order], return_index=True)[1]
    return np.asarray(np.unique(side[order][first], return_inverse=True)[1], dtype=np.int64).reshape(-1)


def _left_out(
    metric: Metric, models: tuple[Answers, ...], codes: IntArray, strata: IntArray, seed: int
) -> Spread:
    """The jackknife's variance, stratum by stratum."""
    blocks, of = _blocks(strata, seed)
    rows = blocks[codes]
    order = np.argsort(rows, kind="stable")
    ends = np.cumsum(np.bincount(rows))
    whole = _value(metric, models)
    moved = np.empty(len(of))
    for block, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        rest = np.delete(order, slice(start, end))
        moved[block] = _value(metric, tuple(one.only(rest) for one in models)) - whole
    count = np.bincount(of)
    # A stratum of one group is what is left where groups have images of several classes.
    scale = np.where(count > 1, np.sqrt((count - 1) / count), 1.0)
    return _by_stratum(moved * scale[of], of, np.bincount(strata))


def _by_stratum(moved: FloatArray, of: IntArray, groups: IntArray) -> Spread:
    """The variance whose square roots are `moved` [blocks], by the stratum `of` each; strata have so many `groups`."""
    moved, count = np.where(np.abs(moved) < SAME, 0.0, moved), np.bincount(of)
    variances = np.bincount(of, weights=moved**2)
    total, freedom = float(variances.sum()), np.maximum(count - 1, 1)
    unseen = max((1 / (len(groups) * groups[variances == 0]) ** 2), default=0.0)
    if total == 0:
        return Spread(0.0, float(freedom.sum()), float(unseen))
    return Spread(total, max(1.0, total**2 / float((variances**2 / freedom).sum())), float(unseen))


def _blocks(strata: IntArray, seed: int) -> tuple[IntArray, IntArray]:
    """The block [groups] with which each group is left out, and the stratum [blocks] of each block.

    Of the many groups of a stratum several make a block, so that all blocks are about MOST_BLOCKS; there are at least
    two of each stratum that has two groups.
    """
    count, most = np.bincount(strata), max(2, MOST_BLOCKS)
    while most > 2 and np.minimum(count, most).sum() > MOST_BLOCKS:
        most -= 1
    random = np.random.default_rng(seed)
    blocks, done = np.empty(len(strata), dtype=np.int64), 0
    for stratum, groups in enumerate(count):
        here = np.arange(groups) % most
        blocks[strata == stratum] = done + (random.permutation(here) if groups > most else here)
        done += min(int(groups), most)
    return blocks, np.repeat(np.arange(len(count)), np.minimum(count, most))


def _drawn_again(
    metric: Metric, models: tuple[Answers, ...], codes: IntArray, strata: IntArray, seed: int
) -> Spread:
    """The bootstrap's variance: of each stratum one group less than it has is drawn (Rao and Wu 1988)."""
    random = np.random.default_rng(seed)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    own = [np.flatnonzero(strata == stratum) for stratum in range(int(strata.max()) + 1)]
    drawn = []
    for _ in range(DRAWS):
        chosen = np.concatenate([random.choice(groups, max(1, len(groups) - 1)) for groups in own])
        rows = np.concatenate([members[group] for group in chosen])
        drawn.append(_value(metric, tuple(one.only(rows) for one in models)))
    variance, least = float(np.nanvar(drawn)), min(map(len, own))
    return Spread(variance, float(max(1, least - 1)), 0.0 if variance else 1 / (len(own) * least) ** 2)


def _value(metric: Metric, models: tuple[Answers, ...]) -> float:
    values = [metric.compute(one) for one in models]
    return values[0] if len(values) == 1 else values[0] - values[1]
