"""The expected loss of each of many candidates that the same images judged, free of the luck of the one that leads.

The lowest of many noisy means is too low: the candidate that leads owes a part of its lead to these very images (Efron
2011 calls it selection bias). The estimate moves every mean towards the middle of all (James and Stein 1961; Efron and
Morris 1975), by the share of the lead that is luck:

    estimate = middle + kept * (mean - middle), and no less than the mean

How much to keep is measured by cross-fitting, as nested cross-validation does (Varma and Simon 2006): groups of images
are left out in turn, the candidate with the lowest mean over the others is chosen, and its loss on those left out is
taken. They had no part in the choice, so the mean of these losses has no luck in it: the estimate of the one that leads
is set to it. That holds whatever candidates have in common, and however their losses are distributed. The textbook's
way, to compute `kept` from the variances of means and of noise, was biased on recorded answers, which
`benchmarks/statistics/choice.py` shows. The order of the estimates is that of the means.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray
from tuner.statistics.means import variance_of_mean

__all__ = ["Shrunken", "choose", "group_sums", "shrink", "shrink_sums"]

FOLDS, REPEATS = 10, 4
"""So many parts of the groups are left out in turn, and so many times the groups are dealt out anew."""


@dataclass(frozen=True)
class Shrunken:
    """Expected losses of candidates, as far as the images that judged them can tell; all in nats an image.

    `means` [candidates] are the means over the images, `values` [candidates] the estimates and `errors` [candidates]
    their standard errors over new groups of images. `kept` is the share of a distance from the middle that is kept,
    0 to 1. `pairs` [candidates] is the standard error of each one's distance from the lowest mean.
    """

    means: FloatArray
    values: FloatArray
    errors: FloatArray
    kept: float
    pairs: FloatArray


def shrink(losses: npt.ArrayLike, groups: npt.ArrayLike) -> Shrunken:
    """The estimates from `losses` [candidates, images] in nats, of images of the `groups` [images].

    With one candidate, or images of one group alone, the estimate is the mean.

    >>> found = shrink([[0.2, 0.6, 0.1, 0.3], [0.5, 0.4, 0.3, 0.2], [0.9, 0.8, 0.6, 0.7]], [1, 2, 3, 4])
    >>> found.means.round(2).tolist(), found.values.round(2).tolist()
    ([0.3, 0.35, 0.75], [0.38, 0.38, 0.75])
    """
    return shrink_sums(*group_sums(losses, groups))


def group_sums(losses: npt.ArrayLike, groups: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The sums [..., groups] of `losses` [..., images] over the images of each group, and how many images it has."""
    values, codes = np.asarray(losses, dtype=np.float64), group_codes(groups)
    sizes = np.bincount(codes).astype(np.float64)
    flat = [np.bincount(codes, weights=row) for row in values.reshape(-1, len(codes))]
    sums = np.asarray(flat, dtype=np.float64).reshape(*values.shape[:-1], len(sizes))
    return sums, sizes


def shrink_sums(sums: FloatArray, sizes: FloatArray) -> Shrunken:
    """The same from `sums` [candidates, groups] of each group's losses, and the groups' `sizes` [groups] in images."""
    means = sums.sum(axis=1) / sizes.sum()
    first, middle = int(means.argmin()), float(np.median(means))
    lead, kept = middle - means[first], 1.0
    if lead > 0 and len(sizes) > 1:
        expected = max(float(means[first]), _without_luck(sums, sizes))
        kept = max(0.0, (middle - expected) / lead)
        # Where whoever leads is behind the middle elsewhere, nothing tells the candidates apart.
        middle = max(middle, expected)
    return Shrunken(
        means,
        # Who is behind the middle is not chosen: the share of its loss that is bad luck is of no use to anybody.
        np.maximum(means, middle + kept * (means - float(np.median(means)))),
        np.sqrt(_variances(sums, sizes)),
        kept,
        np.sqrt(_variances(sums - sums[first], sizes)),
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


def _without_luck(sums: FloatArray, sizes: FloatArray) -> float:
    """The mean loss of images by the candidate that leads on the images of the other groups."""
    random, places = np.random.default_rng(0), np.arange(len(sizes))
    folds = min(FOLDS, len(sizes))
    total = 0.0
    for _ in range(REPEATS):
        fold = random.permutation(places) % folds
        left_out = (fold == np.arange(folds)[:, None]).astype(np.float64)
        others = 1 - left_out
        leads = (sums @ others.T / (sizes @ others.T)).argmin(axis=0)
        total += float((sums[leads] * left_out).sum())
    return total / (REPEATS * float(sizes.sum()))


def _variances(sums: FloatArray, sizes: FloatArray) -> FloatArray:
    """The variance [candidates] of the mean of each row of `sums` [candidates, groups]; 0 for a single group."""
    found = variance_of_mean(sums.T, sizes)
    return np.where(np.isnan(found), 0.0, found)
