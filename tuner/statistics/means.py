"""How sure a mean over images is, whole groups being what varies: its standard error, and three intervals.

Photographs of one leaf resemble each other, so the images are no independent draws: the groups are. The mean over the
images is then a ratio, of the sum of the groups' sums to the sum of the groups' sizes, and its error is that of such a
ratio (Cochran 1977, section 6.4). Regression calls it the cluster-robust error of a mean (Cameron and Miller 2015).
Images without groups are groups of one; the error is then the textbook's, the standard deviation over the root of n.

    half_width      Student's interval, of values that are about symmetric, as differences of losses
    mean_interval   Hall's interval, of skewed values, as losses
    cost_interval   of values between known bounds, of which the large ones may not have been seen
"""

import math

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import effective_groups, group_codes
from tuner.statistics.intervals import FloatArray, Interval, score_interval

__all__ = ["cost_interval", "error_of_mean", "half_width", "mean_interval", "variance_of_mean"]


def variance_of_mean(sums: npt.ArrayLike, sizes: npt.ArrayLike) -> FloatArray:
    """The variance [...] of the mean of all images over new draws of as many groups; NaN for fewer than two.

    `sums` [groups, ...] are the sums over the images of each group, `sizes` [groups] how many images it has.
    """
    added, size = np.asarray(sums, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    images = size.sum()
    means = added.sum(axis=0) / images
    return _variance(added - np.multiply.outer(size, means), images)


def error_of_mean(values: npt.ArrayLike, groups: npt.ArrayLike) -> float:
    """The standard error of the mean of `values` [n] over whole `groups` [n]; NaN for fewer than two.

    >>> error_of_mean([1.0, 1.0, 3.0, 3.0], ["a", "a", "b", "b"])
    1.0
    """
    found = np.asarray(values, dtype=np.float64)
    return math.sqrt(float(_variance(_residuals(found, group_codes(groups)), len(found))))


def half_width(values: npt.ArrayLike, groups: npt.ArrayLike, level: float = 0.95) -> float | None:
    """Half of Student's interval of the mean of `values` [n], over whole `groups` [n]; None for fewer than two."""
    from scipy import special

    codes = group_codes(groups)
    freedom = int(codes.max())
    if freedom < 1:
        return None
    return float(special.stdtrit(freedom, (1 + level) / 2)) * error_of_mean(values, codes)


def mean_interval(values: npt.ArrayLike, groups: npt.ArrayLike) -> Interval | None:
    """The 95 % interval of the mean of `values` [n], over whole `groups` [n]; None for fewer than two.

    Losses are skewed: most are small, a few are large. So the interval is Hall's (1992), which corrects Student's for
    the skewness of the groups' parts of the mean.
    """
    from scipy import special

    found = np.asarray(values, dtype=np.float64)
    residuals, mean = _residuals(found, group_codes(groups)), float(found.mean())
    count = len(residuals)
    if count < 2:
        return None
    parts = residuals * count / len(found)
    spread = math.sqrt(
        float((parts**2).sum()) / (count - 1)
    )  # the error times the root of the number of groups
    if spread == 0:
        return Interval(mean, mean)
    skew = float((parts**3).mean() / (parts**2).mean() ** 1.5)
    bar = float(special.stdtrit(count - 1, 0.975)) / math.sqrt(count)
    return Interval(mean - spread * _hall(bar, skew, count), mean - spread * _hall(-bar, skew, count))


def cost_interval(paid: npt.ArrayLike, costs: FloatArray, groups: npt.ArrayLike) -> Interval:
    """The interval of the mean of `paid` [n], each of which is one of `costs` [true class, named class].

    As a share of the way from the least cost to the dearest it has the interval of a share: dear mistakes are rare and
    seldom seen, and that none was seen is no proof that none is made. Groups in which anything was paid tell how groups
    differ. Too narrow where a few cheap mistakes are seen and dear ones, of which none is, happen once in a hundred
    images.
    """
    low, high = float(costs.min()), float(costs.max())
    if low == high:
        return Interval(low, high)
    share, codes = (np.asarray(paid, dtype=np.float64) - low) / (high - low), group_codes(groups)
    sizes, paying = np.bincount(codes), len(np.unique(codes[share > 0]))
    # A single group shows no error: then the imagined group of `score_interval` decides alone.
    error = error_of_mean(share, codes) if len(sizes) > 1 else 0.0
    found = score_interval(float(share.mean()), error, effective_groups(sizes), paying)
    return Interval(low + (high - low) * found.low, low + (high - low) * found.high)


def _residuals(values: FloatArray, codes: npt.NDArray[np.int64]) -> FloatArray:
    """By how much the sum of each group's `values` [n] differs from what it is at the mean of all [groups]."""
    sums = np.bincount(codes, weights=values) - values.mean() * np.bincount(codes)
    return np.asarray(sums, dtype=np.float64)


def _variance(residuals: FloatArray, images: float) -> FloatArray:
    """The variance [...] of the mean of so many images from the groups' `residuals` [groups, ...]."""
    count = len(residuals)
    if count < 2:
        return np.full(residuals.shape[1:], math.nan)
    return np.asarray((residuals**2).sum(axis=0) * count / (count - 1) / images**2)


def _hall(value: float, skew: float, count: int) -> float:
    """The inverse of Hall's cubic transformation of a mean's t-statistic over the root of `count`."""
    shifted = value - skew / (6 * count)
    if abs(skew) < 1e-6:
        return shifted
    return 3 / skew * float(np.cbrt(1 + skew * shifted) - 1)
