"""The expected loss of each of many candidates that the same images judged, free of the luck of the one that leads.

The lowest of many noisy means is too low: the candidate that leads owes a part of its lead to these very images (Efron
2011 calls it selection bias). Two things say how large that part is. How much a mean varies by chance follows from the
losses of the images: candidates answer the same ones, so only the differences count by which they are compared, and
images of a group vary together. How far candidates really lie apart follows from how far their means do, less what
chance explains. The estimate moves each mean towards the middle of all by the share of chance in their distances
(James and Stein 1961; Efron and Morris 1975):

    estimate = middle + between**2 / (between**2 + noise**2) * (mean - middle)

Only the better half of the candidates says what `between` and `noise` are. A few candidates that failed would make the
spread look large, and the lead of the first look real. The order stays that of the means.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray
from tuner.statistics.means import variance_of_mean

__all__ = ["Shrunken", "choose", "group_sums", "shrink", "shrink_sums"]


@dataclass(frozen=True)
class Shrunken:
    """Expected losses of candidates, as far as the images that judged them can tell; all in nats an image.

    `means` [candidates] are the means over the images, `values` [candidates] the estimates and `errors` [candidates]
    their standard errors over new images. `between` is the standard deviation of the candidates' expected losses,
    `noise` that of a mean by chance, beside what all candidates have in common. `pairs` [candidates] is the standard
    error of each one's distance from the lowest mean.
    """

    means: FloatArray
    values: FloatArray
    errors: FloatArray
    between: float
    noise: float
    pairs: FloatArray

    @property
    def kept(self) -> float:
        """Which share of a distance from the middle is kept, 0 to 1."""
        total = self.between**2 + self.noise**2
        return self.between**2 / total if total > 0 else 1.0


def shrink(losses: npt.ArrayLike, groups: npt.ArrayLike) -> Shrunken:
    """The estimates from `losses` [candidates, images] in nats, of images of the `groups` [images].

    With one candidate, or images of one group alone, the estimate is the mean.

    >>> found = shrink([[0.2, 0.6, 0.1, 0.3], [0.5, 0.4, 0.3, 0.2], [0.9, 0.8, 0.6, 0.7]], [1, 2, 3, 4])
    >>> found.means.round(2).tolist(), found.values.round(2).tolist()
    ([0.3, 0.35, 0.75], [0.35, 0.35, 0.35])
    """
    sums, sizes = group_sums(losses, groups)
    return shrink_sums(sums, sizes)


def group_sums(losses: npt.ArrayLike, groups: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The sums [..., groups] of `losses` [..., images] over the images of each group, and how many images it has."""
    values, codes = np.asarray(losses, dtype=np.float64), group_codes(groups)
    sizes = np.bincount(codes).astype(np.float64)
    flat = values.reshape(-1, len(codes))
    sums = np.stack([np.bincount(codes, weights=row) for row in flat])
    return sums.reshape(*values.shape[:-1], len(sizes)), sizes


def shrink_sums(sums: FloatArray, sizes: FloatArray) -> Shrunken:
    """The same from the sums [candidates, groups] of each group's losses, and the groups' `sizes` [groups] in images."""
    means = sums.sum(axis=1) / sizes.sum()
    middle = float(np.median(means))
    half = means <= middle
    apart = _variances(sums - sums[half].mean(axis=0), sizes)
    chance = float(apart[half].mean())
    between = max(0.0, float(((means[half] - middle) ** 2).mean()) - chance)
    kept = between / (between + chance) if between + chance > 0 else 1.0
    common = float(_variances(sums[half].mean(axis=0, keepdims=True), sizes)[0])
    pairs = np.sqrt(_variances(sums - sums[int(means.argmin())], sizes))
    return Shrunken(
        means,
        middle + kept * (means - middle),
        np.sqrt(common + kept * apart),
        math.sqrt(between),
        math.sqrt(chance),
        pairs,
    )


def choose(found: Shrunken, costs: npt.ArrayLike | None = None) -> int:
    """The candidate with the lowest estimate; of those that tie with it the cheapest by `costs` [candidates].

    A candidate ties where its mean is behind by less than the standard error of that difference: the rule of one
    standard error (Breiman et al. 1984, section 3.4.3), of pairs. Of equally cheap ones the lower mean is chosen.

    >>> found = shrink([[0.2, 0.6, 0.1, 0.3], [0.5, 0.4, 0.3, 0.2], [0.9, 0.8, 0.6, 0.7]], [1, 2, 3, 4])
    >>> choose(found), choose(found, costs=[2.0, 1.0, 0.5])
    (0, 1)
    """
    if costs is None:
        return int(found.means.argmin())
    tied = np.flatnonzero(found.means - found.means.min() <= found.pairs)
    price = np.asarray(costs, dtype=np.float64)
    return int(min(tied, key=lambda place: (price[place], found.means[place])))


def _variances(sums: FloatArray, sizes: FloatArray) -> FloatArray:
    """The variance [candidates] of the mean of each row of `sums` [candidates, groups]; 0 for a single group."""
    found = variance_of_mean(sums.T, sizes)
    return np.where(np.isnan(found), 0.0, found)
