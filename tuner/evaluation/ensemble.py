"""An ensemble of kept trials, chosen on validation: their probabilities averaged, as one more finalist."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from trainables.metrics import Answers, Metric
from tuner.evaluation.calibration import mean_logits
from tuner.evaluation.finalists import Finalist
from tuner.evaluation.statistics import FloatArray

__all__ = ["KEY", "ensemble_finalist", "ensemble_logits", "select"]

KEY = "ensemble"
"""What the ensemble is called among finalists."""

VOTES = 20
"""How often members are added at most; one that is taken twice counts twice."""


def select(
    logits: Mapping[str, FloatArray],
    labels: npt.NDArray[np.int64],
    metric: Metric,
    most: int,
    positive: int | None = None,
) -> dict[str, int]:
    """How often each model is taken into the mean, by key; greedy selection with replacement (Caruana et al. 2004).

    `logits` [n, classes] are the models' answers to the validation images of class numbers `labels` [n]. It begins with
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


def ensemble_logits(members: Mapping[str, int], logits: Mapping[str, FloatArray]) -> FloatArray:
    """The ensemble's logits [n, classes] from its members'."""
    return mean_logits([logits[key] for key in members], list(members.values()))


def ensemble_finalist(
    members: Mapping[str, int], finalists: Mapping[str, Finalist], value: float
) -> Finalist:
    """The ensemble of `members` as a finalist whose validation metric is `value`.

    Its configuration is that of the member with most votes, which stands for it in pictures of configurations.
    """
    first = finalists[max(members, key=lambda key: members[key])]
    votes = sum(members.values())
    label = f"ensemble of {len(members)} ({votes} votes)"
    row = {**first.row, "trial_id": KEY, "status": "completed", "best_epoch": None}
    return replace(first, key=KEY, label=label, row=row, value=value, members=dict(members))
