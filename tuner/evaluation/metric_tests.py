"""Whether two models differ in any metric, whole groups being what varies: paired tests, intervals, needed sizes.

Accuracy keeps tests of its own (`statistics.paired_test`). A mean over images, as log loss, is the sum of what its
groups add; any other metric that moves smoothly is taken apart into such parts by leaving out one group after the
other (the jackknife's pseudo-values; Efron and Tibshirani 1993, chapter 11). The parts' difference goes into a wild
bootstrap, in which every group keeps its size and takes a random sign. A metric that hangs on a quantile has no such
parts: there whole groups' answers are exchanged between the two models, and its error is that of groups drawn again.
`benchmarks/coverage.py` measures how often all this is wrong.
"""

import math

import numpy as np
import numpy.typing as npt

from trainables.metrics import Answers, Metric
from tuner.evaluation.statistics import (
    FloatArray,
    Interval,
    Paired,
    needed_groups,
    paired_test,
    sign_flip,
)

__all__ = ["group_parts", "metric_test", "standard_error"]

IntArray = npt.NDArray[np.int64]

MOST_BLOCKS = 400
"""Groups are left out one by one up to so many; of more, so many random blocks of them."""

EXCHANGES, DRAWS = 999, 400

ENOUGH = 20
"""Exchanges as extreme as what was seen with which a p-value is known well enough, however many are allowed."""

SAME = 1e-12
"""Differences below it are rounding: the same recalls in another order add up to another last bit."""


def metric_test(
    metric: Metric,
    first: Answers,
    second: Answers,
    groups: npt.ArrayLike,
    *,
    seed: int = 0,
    questions: int = 1,
) -> Paired:
    """How `first` and `second`, answers to the same images [n], differ in `metric`; `groups` [n] are resampled whole.

    `difference` is first minus second in the metric's own unit, so that of a loss the smaller is the better.
    `questions` says how many p-values will be corrected together: so many more exchanges are made where the p-value
    is found by exchanging, that the smallest one stays small after the correction. Where `metric` has no value, as a
    sensitivity without images of its class, nothing is told apart.
    """
    if metric.name == "val_accuracy":
        right, too = (one.predicted == one.labels for one in (first, second))
        return paired_test(right, too, groups, seed=seed)
    codes = np.asarray(np.unique(np.asarray(groups), return_inverse=True)[1]).reshape(-1)
    difference = metric.compute(first) - metric.compute(second)
    difference = 0.0 if abs(difference) < SAME else difference
    if math.isnan(difference):
        return Paired(math.nan, Interval(-metric.span, metric.span), 1.0, None)
    if not metric.smooth:
        return _exchanged(metric, first, second, codes, difference, seed, max(EXCHANGES, 100 * questions))
    parts = group_parts(metric, first, codes, seed=seed) - group_parts(metric, second, codes, seed=seed)
    count = len(parts)
    variance = float(parts.var(ddof=1)) if count > 1 else 0.0
    p_value = sign_flip(parts, resamples=9999, seed=seed)
    interval = _interval(metric, difference, variance, count)
    return Paired(difference, interval, p_value, needed_groups(difference, variance))


def standard_error(metric: Metric, answers: Answers, groups: npt.ArrayLike, *, seed: int = 0) -> float:
    """The standard error of `metric` over whole `groups` [n]; NaN for fewer than two."""
    codes = np.asarray(np.unique(np.asarray(groups), return_inverse=True)[1]).reshape(-1)
    if codes.max() == 0:
        return math.nan
    if not metric.smooth:
        drawn = [metric.compute(answers.only(rows)) for rows in _drawn_again(answers.labels, codes, seed)]
        return float(np.nanstd(drawn))
    parts = group_parts(metric, answers, codes, seed=seed)
    return math.sqrt(float(parts.var(ddof=1)) / len(parts))


def group_parts(metric: Metric, answers: Answers, codes: IntArray, *, seed: int = 0) -> FloatArray:
    """What every group (of many: every block of groups) adds to `metric`, [groups]; their mean is about its value.

    A group without which a class has no image is not left out: what it adds can't be told, and it counts as the mean.
    """
    count = int(codes.max()) + 1
    if metric.values is not None:
        values = metric.values(answers)
        mean = len(codes) / count
        return np.asarray(np.bincount(codes, weights=values) / mean)
    if count > MOST_BLOCKS:
        block = np.random.default_rng(seed).permutation(np.arange(count) % MOST_BLOCKS)
        codes, count = block[codes], MOST_BLOCKS
    whole, present = metric.compute(answers), len(np.unique(answers.labels))
    parts = np.full(count, whole)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=count))
    for group, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        rest = np.delete(order, slice(start, end))
        if len(rest) and len(np.unique(answers.labels[rest])) == present:
            parts[group] = count * whole - (count - 1) * metric.compute(answers.only(rest))
    return parts


def _interval(metric: Metric, difference: float, variance: float, count: int) -> Interval:
    """Student's interval of a mean over `count` groups, each of which has `variance`.

    Where no group shows any difference, one is imagined that shows the largest that `metric` can have, where that is
    known: that no difference was seen is no proof that there is none.
    """
    if count < 2:
        return Interval(-metric.span, metric.span)
    from scipy import stats

    if variance == 0 and math.isfinite(metric.span):
        variance = metric.span**2 / count
    half = float(stats.t.ppf(0.975, count - 1)) * math.sqrt(variance / count)
    return Interval(max(-metric.span, difference - half), min(metric.span, difference + half))


def _exchanged(
    metric: Metric,
    first: Answers,
    second: Answers,
    codes: IntArray,
    difference: float,
    seed: int,
    most: int,
) -> Paired:
    """The test for a metric without parts, of at most `most` exchanges.

    Fewer where enough are extreme (Besag and Clifford 1991).
    """
    random, count = np.random.default_rng(seed), int(codes.max()) + 1
    extreme = done = 0
    while done < EXCHANGES or (done < most and extreme < ENOUGH):
        done += 1
        swapped = random.integers(0, 2, count).astype(bool)[codes][:, None]
        ours = Answers(first.labels, np.where(swapped, second.logits, first.logits), first.positive)
        theirs = Answers(first.labels, np.where(swapped, first.logits, second.logits), first.positive)
        extreme += abs(metric.compute(ours) - metric.compute(theirs)) >= abs(difference) - 1e-9
    p_value = (extreme + 1) / (done + 1)
    drawn = [
        metric.compute(first.only(rows)) - metric.compute(second.only(rows))
        for rows in _drawn_again(first.labels, codes, seed)
    ]
    variance = float(np.nanvar(drawn)) * count
    interval = _interval(metric, difference, variance, count)
    return Paired(difference, interval, p_value, needed_groups(difference, variance))


def _drawn_again(labels: IntArray, codes: IntArray, seed: int) -> list[IntArray]:
    """Places [m] of the images of groups that are drawn again within their classes, DRAWS times."""
    random = np.random.default_rng(seed)
    first = np.unique(codes, return_index=True)[1]
    kinds = labels[first]
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    found = []
    for _ in range(DRAWS):
        chosen = [
            random.choice(np.flatnonzero(kinds == kind), int((kinds == kind).sum()))
            for kind in np.unique(kinds)
        ]
        found.append(np.concatenate([members[group] for group in np.concatenate(chosen)]))
    return found
