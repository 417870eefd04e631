"""Sensitivity at a specificity."""

import math

from trainables.metrics import Answers, register

SPECIFICITY = 0.95


@register("val_sensitivity_at_95", "maximize", order=5, smooth=False, needs_positive=True)
def sensitivity_at_95(answers: Answers) -> float:
    """The share of a named class that is found where at most 5 % of the others are taken for it.

    The highest true positive rate on scikit-learn's `roc_curve` whose false positive rate is at most 0.05; NaN without
    a positive class or without images on both sides.
    """
    if answers.positive is None:
        return math.nan
    import numpy as np

    chance = answers.probabilities[:, answers.positive]
    positive = answers.labels == answers.positive
    others = np.sort(chance[~positive])[::-1]
    if not positive.any() or not len(others):
        return math.nan
    allowed = math.floor((1 - SPECIFICITY) * len(others) + 1e-9)
    # Everything above the highest probability among those others that must not be taken for the class.
    return float((chance[positive] > others[allowed]).mean()) if allowed < len(others) else 1.0
