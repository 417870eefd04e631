"""How sure the area under a ROC curve is where photographs come in groups."""

import numpy as np
import numpy.typing as npt

from tuner.statistics.intervals import FloatArray, Interval

__all__ = ["auc_interval"]

_HALVINGS = 60


def auc_interval(
    positive: npt.NDArray[np.bool_], score: npt.ArrayLike, groups: npt.ArrayLike, level: float = 0.95
) -> Interval | None:
    """The interval of the AUC of `score` [n] for `positive` images against the rest; None without two groups of each.

    A score interval: it holds every area from which the observed one lies less than the normal quantile of
    standard errors away, by the variance of Hanley and McNeil 1982 with groups for images. That is scaled by how
    much the groups' placements really vary (Obuchowski 1997), which counts as many groups as hold a positive
    image that a negative one outranks; an imagined group stands for the law's own variance.
    """
    from scipy.stats import norm

    values, codes = np.asarray(score, dtype=np.float64), np.asarray(groups)
    above, below = _placements(positive, values)
    yes, no = len(np.unique(codes[positive])), len(np.unique(codes[~positive]))
    if yes < 2 or no < 2:
        return None
    area = float(above.mean())
    expected = _variance(area, yes, no)
    observed = _by_group(above, codes[positive]) + _by_group(below, codes[~positive])
    outranked = len(np.unique(codes[positive][above < 1]))
    scale = (outranked * observed / expected + 1) / (outranked + 1) if expected > 0 else 1.0
    reach = float(norm.ppf((1 + level) / 2)) * np.sqrt(scale)

    def end(outside: float) -> float:
        inside = area
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if abs(area - middle) <= reach * np.sqrt(_variance(middle, yes, no)):
                inside = middle
            else:
                outside = middle
        return inside

    return Interval(end(0.0), end(1.0))


def _placements(positive: npt.NDArray[np.bool_], values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each positive the share of negatives below it, for each negative that of positives above it; ties half."""
    from scipy.stats import rankdata

    ranks = rankdata(values)
    yes, no = int(positive.sum()), int((~positive).sum())
    above = (ranks[positive] - rankdata(values[positive])) / max(1, no)
    below = 1 - (ranks[~positive] - rankdata(values[~positive])) / max(1, yes)
    return above, below


def _by_group(values: FloatArray, groups: npt.NDArray[np.generic]) -> float:
    """The variance of the mean of `values` whose groups are drawn independently."""
    codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
    sums = np.bincount(codes, weights=values - values.mean())
    count = len(sums)
    return float((sums**2).sum() / len(values) ** 2 * count / (count - 1))


def _variance(area: float, yes: int, no: int) -> float:
    """Hanley and McNeil's variance of an area, of `yes` positives and `no` negatives."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (yes - 1) * (first - area**2) + (no - 1) * (second - area**2)
    return max(0.0, spread / (yes * no))
