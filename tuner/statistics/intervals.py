"""How sure a share of right answers is: intervals over whole groups.

Photographs of one leaf succeed or fail together, so everything here resamples whole groups. Data without
groups is the case of groups of one.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import effective_groups, group_codes

__all__ = [
    "FloatArray",
    "Interval",
    "accuracy_interval",
    "calibration_error",
    "group_bootstrap",
    "normal_quantile",
    "score_interval",
    "wilson",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a proportion or of a difference of proportions."""

    low: float
    high: float


def normal_quantile(level: float) -> float:
    """How many standard errors away the ends of a two-sided normal interval lie, 1.96 of one of 95 %."""
    from scipy import special

    return float(special.ndtri((1 + level) / 2))


def wilson(correct: float, n: float, level: float = 0.95) -> Interval:
    """The score interval of `correct` out of `n` independent images; Wilson 1927.

    `n` and `correct` may be fractional, as an effective sample size is. Raises ValueError for an empty
    sample.
    """
    if n <= 0 or not 0 <= correct <= n:
        raise ValueError(f"{correct} correct out of {n} is no sample: give 0 <= correct <= n and n > 0")
    share, z = correct / n, normal_quantile(level)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if correct == 0 else centre - half
    return Interval(max(0.0, low), 1.0 if correct == n else min(1.0, centre + half))


def group_bootstrap(
    sums: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    strata: npt.ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> FloatArray:
    """Standard errors [S] of `statistic` when whole groups are drawn again.

    `sums` [groups, K] are sums over each group's images; `statistic` maps totals [..., K] to values [..., S].
    Within each of `strata` (the groups' classes, whose numbers the split has fixed) one group less than there are is
    drawn and scaled up, which makes the variance unbiased also for a class of two groups (Rao and Wu 1988). Strata of
    a single group count as one stratum, since alone they would seem not to vary.
    """
    groups = len(sums)
    codes = np.zeros(groups, dtype=np.int64) if strata is None else _together(group_codes(strata))
    block = max(1, min(resamples, _BLOCK_CELLS // groups))
    if block == resamples:
        drawn = statistic(_weights_of(codes.tobytes(), resamples, seed) @ sums)
    else:
        rng = np.random.default_rng(seed)
        sizes = (min(block, resamples - start) for start in range(0, resamples, block))
        drawn = np.concatenate([statistic(_weights(codes, size, rng) @ sums) for size in sizes])
    return np.asarray(drawn.std(axis=0), dtype=np.float64)


def score_interval(
    value: float, error: float, full_groups: float, informative: int, level: float = 0.95
) -> Interval:
    """The interval of a score in [0, 1] whose bootstrap standard error is `error`.

    The error becomes an effective sample size, and that goes into Wilson's form: near 1 the plain percentile
    bootstrap covers the truth only 80 to 90 % of the time with fifty groups. `informative` groups hold the
    rarer outcome; their evidence on how much a group hangs together is joined by one imagined group that was
    wholly right or wrong, `full_groups` being the effective size if all were so. With no error seen, that
    alone decides.
    """
    spread = value * (1 - value)
    if spread <= 0:
        return wilson(round(value) * full_groups, full_groups, level)
    variance = (informative * error**2 + spread / full_groups) / (informative + 1)
    size = spread / variance
    return wilson(value * size, size, level)


def accuracy_interval(
    correct: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    strata: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The interval of the share of `correct` images [n], whole `groups` [n] resampled.

    `strata`, one for each image, are their classes. Every group of one image gives Wilson's interval.
    """
    right = np.asarray(correct, dtype=np.float64)
    codes = group_codes(groups)
    size = np.bincount(codes)
    if len(size) == len(right):
        return wilson(float(right.sum()), len(right), level)
    sums = np.stack([np.bincount(codes, weights=right), size], axis=1).astype(np.float64)
    first = np.unique(codes, return_index=True)[1]
    kinds = None if strata is None else np.asarray(strata)[first]
    error = group_bootstrap(
        sums, lambda t: t[..., :1] / t[..., 1:], strata=kinds, resamples=resamples, seed=seed
    )[0]
    informative = min(int((sums[:, 0] < size).sum()), int((sums[:, 0] > 0).sum()))
    return score_interval(float(right.mean()), float(error), effective_groups(size), informative, level)


def calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over `bins` of equal width, weighted by their images.

    Expected calibration error of the predicted class; Guo et al. 2017 with their 15 bins.
    """
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    code = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(code, weights=sure - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))


@functools.lru_cache(maxsize=2)
def _weights_of(strata: bytes, resamples: int, seed: int) -> FloatArray:
    """`_weights` of the groups' strata, kept: all finalists of a comparison are judged by the same groups."""
    weights = _weights(np.frombuffer(strata, dtype=np.int64), resamples, np.random.default_rng(seed))
    weights.flags.writeable = False
    return weights


def _weights(strata: IntArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    weights = np.ones((resamples, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        count = len(members)
        if count > 1:
            drawn = rng.multinomial(count - 1, np.full(count, 1 / count), size=resamples)
            weights[:, members] = drawn * (count / (count - 1))
    return weights


def _together(strata: IntArray) -> IntArray:
    count = np.bincount(strata)
    if (alone := count[strata] == 1).sum() == 1 and len(count) > 1:
        alone |= strata == np.where(count > 1, count, len(strata)).argmin()
    return np.asarray(np.where(alone, len(count), strata))
