"""Whether two models differ in any metric, whole groups being what varies: paired tests, intervals, needed sizes.

If two models are equally good, it does not matter which of them answered a group. So the answers of whole groups are
exchanged between the two at random, again and again; the p-value is how often the difference then is as large as the
one that was seen. For most metrics an exchange turns the sign of what the group adds to the difference, so nothing has
to be computed again (`Metric.exchanged`). Accuracy keeps a test of its own (`paired.paired_test`). A class with a
single group does not show how its groups differ: a metric that averages over classes then has no test.
`benchmarks/statistics/coverage.py --tests` measures how often all this is wrong.
"""

import math

import numpy as np
import numpy.typing as npt

from trainables.metrics import Answers, Metric
from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray, Interval
from tuner.statistics.metric_errors import SAME, Spread, image_parts, single_groups, spread
from tuner.statistics.paired import Paired, needed_groups, paired_test, sign_flip

__all__ = ["metric_test"]

IntArray = npt.NDArray[np.int64]

EXCHANGES = 999

ENOUGH = 20
"""Exchanges as extreme as what was seen with which a p-value is known well enough, however many are allowed."""

CLEAR = 100
"""The same among the first EXCHANGES: the p-value is then above a tenth."""

NO_INTERVAL = Interval(math.nan, math.nan)


def metric_test(
    metric: Metric,
    first: Answers,
    second: Answers,
    groups: npt.ArrayLike,
    *,
    seed: int = 0,
    questions: int = 1,
) -> Paired:
    """How `first` and `second`, answers to the same images [n], differ in `metric`; `groups` [n] are exchanged whole.

    `difference` is first minus second in the metric's own unit, so that of a loss the smaller is the better.
    `questions` says how many p-values will be corrected together: so many more exchanges are made where the metric is
    computed anew for each, that the smallest p-value stays small after the correction, and the groups that are needed
    are those for a p-value that stays small. Nothing is told apart, the
    p-value being 1 and the interval's ends NaN, where `metric` has no value, as a sensitivity without images of its
    class, and where a class that counts in it has a single group.
    """
    if metric.name == "val_accuracy":
        right, too = (one.predicted == one.labels for one in (first, second))
        return paired_test(right, too, groups, seed=seed, questions=questions)
    codes = group_codes(groups)
    difference = metric.compute(first) - metric.compute(second)
    difference = 0.0 if abs(difference) < SAME else difference
    if math.isnan(difference) or single_groups(metric, first, codes):
        return Paired(difference, NO_INTERVAL, 1.0, None)
    values = image_parts(metric, (first, second))
    found = spread(metric, (first, second), codes, parts=values, seed=seed)
    if values is None:
        most = max(EXCHANGES, 100 * questions)
        p_value, null = _exchange(metric, first, second, codes, difference, seed, most), 0.0
    else:
        parts: FloatArray = np.bincount(codes, weights=values).astype(np.float64)
        parts[np.abs(parts) < SAME] = 0.0
        p_value, null = sign_flip(parts, resamples=9999, seed=seed), float((parts**2).sum())
    count = int(codes.max()) + 1
    needed = _needed(difference, found, null, count, questions)
    return Paired(difference, _interval(metric, difference, found), p_value, needed)


def _interval(metric: Metric, difference: float, found: Spread | None) -> Interval:
    """Student's interval of a difference that varies as `found` says.

    Where the groups of a class show no difference, one is imagined that shows the largest that `metric` can have, if
    that is known: that no difference was seen is no proof that there is none.
    """
    if found is None:
        return Interval(-metric.span, metric.span)
    from scipy import special

    unseen = metric.span**2 * found.unseen if found.unseen and math.isfinite(metric.span) else 0.0
    half = float(special.stdtrit(found.freedom, 0.975)) * math.sqrt(found.variance + unseen)
    return Interval(max(-metric.span, difference - half), min(metric.span, difference + half))


def _needed(difference: float, found: Spread | None, null: float, count: int, questions: int) -> int | None:
    """Groups that would show the difference; `null` is its variance over exchanges, and `count` the groups there are.

    The variance falls with the number of groups, their shares of the classes being as they are.
    """
    if found is None:
        return None
    variance = count * (max(found.variance, null) or found.unseen)
    return needed_groups(difference, variance, questions=questions)


def _exchange(
    metric: Metric,
    first: Answers,
    second: Answers,
    codes: IntArray,
    difference: float,
    seed: int,
    most: int,
) -> float:
    """The p-value of at most `most` exchanges, for each of which the metric is computed.

    Fewer where enough are extreme (Besag and Clifford 1991).
    """
    random, count = np.random.default_rng(seed), int(codes.max()) + 1
    extreme = done = 0
    while extreme < ENOUGH if EXCHANGES <= done < most else extreme < CLEAR and done < EXCHANGES:
        done += 1
        swapped = random.integers(0, 2, count).astype(bool)[codes]
        ours, theirs = first.taking(second, swapped), second.taking(first, swapped)
        extreme += abs(metric.compute(ours) - metric.compute(theirs)) >= abs(difference) - 1e-9
    return (extreme + 1) / (done + 1)
