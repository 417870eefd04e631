"""Which models are averaged, and how often each is taken: the greedy selection of Caruana et al. 2004."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from trainables.metrics import Answers, Metric
from tuner.statistics.calibration import mean_logits
from tuner.statistics.intervals import FloatArray

__all__ = ["crossed", "select_members"]

VOTES = 20
"""How often members are added at most; one that is taken twice counts twice."""


def select_members(
    logits: Mapping[str, FloatArray],
    labels: npt.NDArray[np.int64],
    metric: Metric,
    most: int,
    positive: int | None = None,
) -> dict[str, int]:
    """How often each model is taken into the mean, by key; greedy selection with replacement (Caruana et al. 2004).

    `logits` [n, classes] are the models' answers to images of class numbers `labels` [n]. It begins with
    the best single model, and adds the one whose vote betters `metric` most, until none does. At most `most` models
    take part.
    """

    def cost(counts: Mapping[str, int]) -> float:
        mixed = mean_logits([logits[key] for key in counts], list(counts.values()))
        return metric.cost(metric.compute(Answers(labels, mixed, positive)))

    best = min(logits, key=lambda key: (cost({key: 1}), key))
    counts, lowest = {best: 1}, cost({best: 1})
    for _ in range(VOTES - 1):
        offers = [key for key in logits if key in counts or len(counts) < most]
        costs = {key: cost({**counts, key: counts.get(key, 0) + 1}) for key in offers}
        key = min(costs, key=lambda name: (costs[name], name))
        if not costs[key] < lowest:
            break
        counts[key], lowest = counts.get(key, 0) + 1, costs[key]
    return counts


def crossed(
    logits: Mapping[str, FloatArray],
    labels: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
    metric: Metric,
    most: int,
    positive: int | None = None,
) -> FloatArray:
    """The answers [n, classes] of ensembles whose members were chosen without the image's fold.

    An ensemble that is measured on the images that chose its members looks better than it is; this one does not.
    `logits` [n, classes] are the models' answers to images of class numbers `labels` [n] and `folds` [n]; NaN is no
    answer. Images that all models answered choose, as `select_members` does; NaN where a member has no answer.
    """
    known = np.logical_and.reduce([np.isfinite(one).all(axis=1) for one in logits.values()])
    found = np.full(next(iter(logits.values())).shape, np.nan)
    for fold in np.unique(folds):
        out = folds == fold
        choosing = known & ~out
        if choosing.any():
            votes = select_members(
                {key: one[choosing] for key, one in logits.items()}, labels[choosing], metric, most, positive
            )
            found[out] = mean_logits([logits[key][out] for key in votes], list(votes.values()))
    return found
