"""The 95 % interval of any metric over whole groups.

Which interval a metric has follows from how often it holds the truth: `benchmarks/statistics/coverage.py`.
"""

import numpy as np
import numpy.typing as npt

from trainables.metrics import Answers, Metric
from tuner.statistics.groups import effective_groups, group_codes
from tuner.statistics.intervals import Interval, score_interval
from tuner.statistics.means import mean_interval
from tuner.statistics.metric_errors import standard_error
from tuner.statistics.scores import ScoreIntervals

__all__ = ["metric_interval"]


def metric_interval(
    metric: Metric, answers: Answers, groups: npt.ArrayLike, known: ScoreIntervals, *, seed: int = 0
) -> Interval | None:
    """The interval of `metric` for `answers` to images [n] of `groups` [n]; None where there is none.

    `known` are the intervals of the same answers that `score_intervals` found. A mean of losses has Hall's interval;
    any other share has its standard error over groups in Wilson's form, as accuracy has, in which the groups with a
    wrong answer count as those that tell how groups hang together.
    """
    given: Interval | None = getattr(known, metric.stem, None)
    if given is not None or hasattr(known, metric.stem):
        return given
    if metric.values is not None:
        found = mean_interval(metric.values(answers), groups)
        return None if found is None else Interval(max(0.0, found.low), found.high)
    codes = group_codes(groups)
    judged = answers.labels == answers.positive if metric.needs_positive else np.ones(len(codes), dtype=bool)
    size = np.bincount(codes[judged])
    value, error = metric.compute(answers), standard_error(metric, answers, codes, seed=seed)
    if not (np.isfinite(value) and np.isfinite(error)) or np.count_nonzero(size) < 2:
        return None
    wrong = len(np.unique(codes[judged & (answers.predicted != answers.labels)]))
    return score_interval(value, error, effective_groups(size), wrong)
