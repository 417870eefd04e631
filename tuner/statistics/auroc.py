"""The area under a ROC curve, its standard error, and its interval where photographs come in groups.

The area itself is that of `trainables.metrics`, which a search may optimise.
"""

import math

import numpy as np
import numpy.typing as npt

from trainables.metrics.auroc import area, mid_ranks
from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray, Interval, normal_quantile
from tuner.statistics.means import error_of_mean

__all__ = ["area", "area_error", "auc_interval"]

_HALVINGS = 60


def area_error(area: float, positive: int, negative: int) -> float:
    """The standard error of `area` from so many independent images (or groups) of either side.

    Hanley and McNeil 1982, formula 2; 0 for an area of 1, whatever the numbers.

    >>> round(area_error(0.9, 50, 50), 3)
    0.032
    """
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positive - 1) * (first - area**2) + (negative - 1) * (second - area**2)
    return math.sqrt(max(spread, 0.0) / (positive * negative))


def auc_interval(
    positive: npt.NDArray[np.bool_], score: npt.ArrayLike, groups: npt.ArrayLike, level: float = 0.95
) -> Interval | None:
    """The interval of the AUC of `score` [n] for `positive` images against the rest; None without two groups of each.

    A score interval: it holds every area from which the observed one lies less than the normal quantile of
    standard errors away, by the variance of Hanley and McNeil 1982 with groups for images. That is scaled by how
    much the groups' placements really vary (Obuchowski 1997), which counts as many groups as hold a positive
    image that a negative one outranks; an imagined group stands for the law's own variance.
    """
    codes = group_codes(groups)
    yes, no = len(np.unique(codes[positive])), len(np.unique(codes[~positive]))
    if yes < 2 or no < 2:
        return None
    values = np.asarray(score, dtype=np.float64)
    above, below = _placements(positive, values)
    found = float(above.mean())  # the area, as in `area`
    expected = area_error(found, yes, no) ** 2
    observed = error_of_mean(above, codes[positive]) ** 2 + error_of_mean(below, codes[~positive]) ** 2
    outranked = len(np.unique(codes[positive][above < 1]))
    scale = (outranked * observed / expected + 1) / (outranked + 1) if expected > 0 else 1.0
    reach = normal_quantile(level) * math.sqrt(scale)

    def end(outside: float) -> float:
        inside = found
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if abs(found - middle) <= reach * area_error(middle, yes, no):
                inside = middle
            else:
                outside = middle
        return inside

    return Interval(end(0.0), end(1.0))


def _placements(positive: npt.NDArray[np.bool_], values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each positive the share of negatives below it, for each negative that of positives above it; ties half."""
    ranks = mid_ranks(values)
    yes, no = int(positive.sum()), int((~positive).sum())
    above = (ranks[positive] - mid_ranks(values[positive])) / no
    below = 1 - (ranks[~positive] - mid_ranks(values[~positive])) / yes
    return above, below
