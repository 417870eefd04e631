"""How sure a test score is, and whether two scores differ: intervals, paired tests, needed sizes.

Photographs of one leaf succeed or fail together, so everything here resamples whole groups. Data without
groups is the case of groups of one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats as distributions

__all__ = [
    "FloatArray",
    "Interval",
    "Paired",
    "accuracy_interval",
    "calibration_error",
    "cost_interval",
    "group_bootstrap",
    "holm",
    "mcnemar",
    "needed_groups",
    "paired_test",
    "score_interval",
    "sign_flip",
    "wilson",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BLOCK_CELLS = 4_000_000
_EXACT_GROUPS = 12
_MOST_GROUPS = 10**12


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a proportion or of a difference of proportions."""

    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """How two models differ on the same images; `difference` is first minus second, as a fraction.

    `needed` is the number of test groups with which a difference of this size would be seen four times in five, None
    where there is none or the groups do not tell. The ends of the interval are NaN where nothing is tested.
    """

    difference: float
    interval: Interval
    p_value: float
    needed: int | None


def wilson(correct: float, n: float, level: float = 0.95) -> Interval:
    """The score interval of `correct` out of `n` independent images; Wilson 1927.

    `n` and `correct` may be fractional, as an effective sample size is. Raises ValueError for an empty
    sample.
    """
    if n <= 0 or not 0 <= correct <= n:
        raise ValueError(f"{correct} correct out of {n} is no sample: give 0 <= correct <= n and n > 0")
    share, z = correct / n, _z(level)
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
    codes = np.zeros(groups, dtype=np.int64) if strata is None else _together(_codes(strata))
    rng = np.random.default_rng(seed)
    block = max(1, min(resamples, _BLOCK_CELLS // groups))
    values = []
    for start in range(0, resamples, block):
        weights = _weights(codes, min(block, resamples - start), rng)
        values.append(statistic(weights @ sums))
    drawn = np.concatenate(values)
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
    codes = _codes(groups)
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
    return score_interval(float(right.mean()), float(error), _full_groups(size), informative, level)


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
    share, codes = (np.asarray(paid, dtype=np.float64) - low) / (high - low), _codes(groups)
    size = np.bincount(codes)
    sums, count = np.bincount(codes, weights=share), len(size)
    error = math.sqrt(float(((sums - share.mean() * size) ** 2).sum()) * count / max(1, count - 1)) / len(
        share
    )
    found = score_interval(float(share.mean()), error, _full_groups(size), int((sums > 0).sum()))
    return Interval(low + (high - low) * found.low, low + (high - low) * found.high)


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The exact two-sided p-value that two models are right equally often; McNemar 1947.

    `first` and `second` [n] say which of the same images each got right.
    """
    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(distributions.binomtest(only_first, only_first + only_second, 0.5).pvalue)


def paired_test(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Paired:
    """How right answers `first` and `second` [n] differ on the same images.

    Without groups the p-value is exact McNemar's. With groups it is that of a wild bootstrap: each group's
    difference keeps its size and takes a random sign (Rademacher weights; Cameron, Gelbach and Miller 2008),
    all signs being enumerated where few groups differ, so that groups of one would give McNemar's value
    again.
    """
    codes = _codes(groups)
    gain = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    per_group: FloatArray = np.bincount(codes, weights=gain).astype(np.float64)
    size = np.bincount(codes)
    difference = float(gain.mean())
    p_value = sign_flip(per_group, resamples, seed) if len(size) < len(gain) else mcnemar(first, second)
    count, mean_size = len(size), len(gain) / len(size)
    deviations = (per_group - difference * size) / mean_size
    variance = float((deviations**2).sum()) / max(count - 1, 1)
    # One imagined group on which they differ: no difference seen is not a proof that there is none.
    half = _z(level) * math.sqrt((variance + 1 / count) / count)
    interval = Interval(max(-1.0, difference - half), min(1.0, difference + half))
    # Groups that all differ alike do not seem free of variance to the test, which gives them random signs.
    variance = max(variance, float((per_group**2).mean()) / mean_size**2)
    return Paired(difference, interval, p_value, needed_groups(difference, variance) if count > 1 else None)


def sign_flip(per_group: FloatArray, resamples: int, seed: int) -> float:
    """The two-sided p-value of a wild bootstrap over the groups' differences `per_group` [groups].

    All signs are enumerated where few groups differ.
    """
    changed = per_group[per_group != 0]
    if len(changed) == 0:
        return 1.0
    # The tolerance keeps a tie a tie when sums of fractions differ in their last bit.
    bar = abs(float(changed.sum())) - 1e-9
    if len(changed) <= _EXACT_GROUPS:
        masks = np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1
        return float((np.abs((2 * masks - 1) @ changed) >= bar).mean())
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_CELLS // len(changed))
    extreme = 0
    for start in range(0, resamples, block):
        signs = rng.integers(0, 2, (min(block, resamples - start), len(changed))) * 2 - 1
        extreme += int((np.abs(signs @ changed) >= bar).sum())
    return (extreme + 1) / (resamples + 1)


def needed_groups(
    difference: float, variance: float, *, level: float = 0.95, power: float = 0.8
) -> int | None:
    """Groups needed to see `difference` with `power` in a two-sided paired test; None for no difference.

    `variance` is that of one group's difference, in fractions of its images. A difference that a trillion groups would
    not show is none, and so is one that is not a number.
    """
    z = _z(level) + float(distributions.norm.ppf(power))
    needed = z * z * variance / difference**2 if difference else math.inf
    return max(2, math.ceil(needed)) if needed <= _MOST_GROUPS else None


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for asking several questions at once, in the given order; Holm 1979."""
    adjusted, floor = [0.0] * len(p_values), 0.0
    for done, position in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        floor = max(floor, min(1.0, (len(p_values) - done) * p_values[position]))
        adjusted[position] = floor
    return adjusted


def calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over `bins` of equal width, weighted by their images.

    Expected calibration error of the predicted class; Guo et al. 2017 with their 15 bins.
    """
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    code = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(code, weights=sure - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))


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


def _full_groups(size: npt.NDArray[np.signedinteger[Any]]) -> float:
    return float(size.sum() ** 2 / (size.astype(np.float64) ** 2).sum())


def _codes(values: npt.ArrayLike) -> IntArray:
    return np.asarray(np.unique(np.asarray(values), return_inverse=True)[1], dtype=np.int64).reshape(-1)


def _z(level: float) -> float:
    return float(distributions.norm.ppf((1 + level) / 2))
