"""Whether two models differ on the same images: paired tests, the groups that are needed, several questions at once.

Whole groups are what varies, as in `intervals`; images without groups are groups of one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray, Interval, normal_quantile
from tuner.statistics.means import variance_of_mean

__all__ = [
    "SIGNIFICANCE",
    "Paired",
    "fewest_groups",
    "holm",
    "mcnemar",
    "needed_groups",
    "paired_test",
    "sign_flip",
    "why_no_difference",
]

SIGNIFICANCE = 0.05
"""The p-value, corrected for all questions, from which downwards two models are told apart."""

_BLOCK_CELLS = 4_000_000
_EXACT_GROUPS = 12
_MOST_GROUPS = 10**12


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


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The exact two-sided p-value that two models are right equally often; McNemar 1947.

    `first` and `second` [n] say which of the same images each got right.
    """
    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    if only_first + only_second == 0:
        return 1.0
    from scipy import stats

    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


def paired_test(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
    questions: int = 1,
) -> Paired:
    """How right answers `first` and `second` [n] differ on the same images.

    `questions` says how many p-values will be corrected together, which asks for more groups.

    Without groups the p-value is exact McNemar's. With groups it is that of a wild bootstrap: each group's
    difference keeps its size and takes a random sign (Rademacher weights; Cameron, Gelbach and Miller 2008),
    all signs being enumerated where few groups differ, so that groups of one would give McNemar's value
    again.
    """
    codes = group_codes(groups)
    gain = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    per_group: FloatArray = np.bincount(codes, weights=gain).astype(np.float64)
    size = np.bincount(codes)
    difference = float(gain.mean())
    p_value = sign_flip(per_group, resamples, seed) if len(size) < len(gain) else mcnemar(first, second)
    count, mean_size = len(size), len(gain) / len(size)
    variance = count * float(variance_of_mean(per_group, size)) if count > 1 else 0.0
    # One imagined group on which they differ: no difference seen is not a proof that there is none.
    half = normal_quantile(level) * math.sqrt((variance + 1 / count) / count)
    interval = Interval(max(-1.0, difference - half), min(1.0, difference + half))
    # Groups that all differ alike do not seem free of variance to the test, which gives them random signs.
    variance = max(variance, float((per_group**2).mean()) / mean_size**2)
    needed = needed_groups(difference, variance, questions=questions) if count > 1 else None
    return Paired(difference, interval, p_value, needed)


def sign_flip(per_group: FloatArray, resamples: int, seed: int) -> float:
    """The two-sided p-value of a wild bootstrap over the groups' differences `per_group` [groups].

    All signs are enumerated where few groups differ.
    """
    changed = per_group[per_group != 0]
    if len(changed) == 0:
        return 1.0
    # The tolerance keeps a tie a tie when sums of fractions differ in their last bit.
    bar = abs(float(changed.sum())) - 1e-9 * float(np.abs(changed).sum())
    if len(changed) <= _EXACT_GROUPS:
        # The sums of all signs but the first one's, which by symmetry changes nothing.
        sums = changed[:1]
        for one in changed[1:]:
            sums = np.concatenate((sums + one, sums - one))
        return float((np.abs(sums) >= bar).mean())
    extreme = sum(
        int((np.abs(signs.astype(np.float64) @ changed) >= bar).sum())
        for signs in _random_signs(len(changed), resamples, seed)
    )
    return (extreme + 1) / (resamples + 1)


def _random_signs(groups: int, resamples: int, seed: int) -> Iterable[npt.NDArray[np.int8]]:
    """Blocks of random signs [resamples, groups]; those of a single block are kept for the next test of as many."""
    block = max(1, _BLOCK_CELLS // groups)
    if block >= resamples:
        return (_drawn_signs(groups, resamples, seed),)
    rng = np.random.default_rng(seed)
    return (_draw_signs(rng, min(block, resamples - start), groups) for start in range(0, resamples, block))


@lru_cache(maxsize=4)
def _drawn_signs(groups: int, resamples: int, seed: int) -> npt.NDArray[np.int8]:
    signs = _draw_signs(np.random.default_rng(seed), resamples, groups)
    signs.flags.writeable = False
    return signs


def _draw_signs(rng: np.random.Generator, resamples: int, groups: int) -> npt.NDArray[np.int8]:
    return (rng.integers(0, 2, (resamples, groups)) * 2 - 1).astype(np.int8)


def fewest_groups(questions: int = 1) -> int:
    """Groups with fewer of which no difference, however large, is significant among so many corrected `questions`.

    The smallest p-value of a test that gives groups random signs is 2 / 2 ** groups, where all groups differ to one
    side; Holm wants the smallest one to be at most `SIGNIFICANCE` / `questions`.

    >>> fewest_groups(), fewest_groups(4), fewest_groups(11)
    (6, 8, 9)
    """
    return 1 + math.ceil(math.log2(max(1, questions) / SIGNIFICANCE) - 1e-9)


def why_no_difference(groups: int, finalists: int, unit: str = "group") -> str:
    """The sentence on a test part of too few `groups` to compare so many finalists; `unit` is what is counted.

    >>> why_no_difference(5, 5)
    '5 test groups cannot show any difference between finalists, however large; that does not make them equal.\
 With 5 finalists, the chosen one and those that it is compared with, it takes at least 8 test groups.'
    """
    verb = f"test {unit}{'' if groups == 1 else 's'}"
    return (
        f"{groups} {verb} cannot show any difference between finalists, however large; that does not make them equal."
        f" With {finalists} finalists, the chosen one and those that it is compared with, it takes at least"
        f" {fewest_groups(finalists - 1)} test {unit}s."
    )


def needed_groups(
    difference: float, variance: float, *, questions: int = 1, power: float = 0.8
) -> int | None:
    """Groups needed to see `difference` with `power` in a two-sided paired test; None for no difference.

    The test is one of so many `questions` whose p-values are corrected together, so never fewer than `fewest_groups`.

    `variance` is that of one group's difference, in fractions of its images. A difference that a trillion groups would
    not show is none, and so is one that is not a number.
    """
    # Only the end on the side of the difference counts towards the power.
    z = normal_quantile(1 - SIGNIFICANCE / max(1, questions)) + normal_quantile(2 * power - 1)
    needed = z * z * variance / difference**2 if difference else math.inf
    return max(fewest_groups(questions), math.ceil(needed)) if needed <= _MOST_GROUPS else None


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for asking several questions at once, in the given order; Holm 1979."""
    adjusted, floor = [0.0] * len(p_values), 0.0
    for done, position in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        floor = max(floor, min(1.0, (len(p_values) - done) * p_values[position]))
        adjusted[position] = floor
    return adjusted
