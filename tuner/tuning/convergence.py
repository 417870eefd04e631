"""Whether a search is settled: what more trials may gain can't be told from noise.

The gain is what the last `MORE` of the ended trials brought, or would have brought in another order: the mean best of
all but so many, less the best of all; the larger of the two, for proposals may still become better. The noise is the
standard error of the best value over so many validation images, taken low: a search ends late rather than early.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainables.metrics import METRICS
from tuner.runs.directory import Run

__all__ = ["LEAST", "MORE", "Settling", "expected_gain", "noise"]

LEAST = 30
"""Ended trials before a search may be settled: of fewer nobody knows how their values are distributed."""

MORE = 10
"""The trials whose gain is asked for."""


class Settling:
    """Watches the ended trials of `run`, whose value is `metric` over `images` validation images."""

    def __init__(self, run: Run, metric: str, images: int) -> None:
        self._run, self._metric, self._images = run, metric, images
        self.reason: str | None = None

    def reached(self, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Whether `rows` of ended trials are enough; says in the run's record why, once they are."""
        if self.reason is None:
            ordered = sorted(rows, key=lambda row: int(row["number"]))
            values = [r["value"] for r in ordered if r["value"] is not None and r["status"] != "failed"]
            self.reason = reason(values, self._metric, self._images)
            if self.reason is not None:
                self._run.update_record(ended=self.reason)
        return self.reason is not None


def reason(values: Sequence[float], metric: str, images: int) -> str | None:
    """Why a search with these `values` of ended trials, in their order, has converged, in words; None if it has not."""
    if len(values) < LEAST:
        return None
    costs = [METRICS[metric].cost(value) for value in values]
    gain = max(expected_gain(costs, MORE), min(costs[:-MORE]) - min(costs))
    floor = noise(metric, METRICS[metric].best(values), images)
    if gain >= floor:
        return None
    return (
        f"converged after {len(values)} trials: {MORE} more trials are expected to improve {metric} by {gain:.2g},"
        f" which is less than its standard error over {images} validation images, {floor:.2g}"
    )


def expected_gain(costs: Sequence[float], more: int) -> float:
    """What the last `more` of trials with these `costs` (less is better) bring, averaged over all orders.

    >>> expected_gain([1.0, 0.0], 1)
    0.5
    """
    ordered, kept = sorted(costs), len(costs) - more
    if kept < 1:
        return math.inf
    # The best of a random choice of `kept` is the i-th of all if that is chosen and no better one is.
    count, missed, mean = len(ordered), 1.0, 0.0
    for place, cost in enumerate(ordered):
        if missed <= 0:
            break
        chosen = kept / (count - place)
        mean += missed * min(1.0, chosen) * cost
        missed *= 1 - min(1.0, chosen)
    return mean - ordered[0]


def noise(metric: str, value: float, images: int) -> float:
    """The standard error of `value` over `images` validation images, at least.

    The loss of an image scatters at least about as much as its mean, for few images bear most of it; a share of right
    answers is binomial, with one right and one wrong answer added, so that a perfect score is not taken for exact.
    """
    if METRICS[metric].minimised:
        return abs(value) / math.sqrt(images)
    share = (value * images + 1) / (images + 2)
    return math.sqrt(share * (1 - share) / images)
