"""What twice the images would gain: a power law with a floor, fitted to losses at several sizes of training.

The mean loss of a model that was trained on the share s of what there is follows, over a wide range, a power law
(Hestness et al. 2017, Deep learning scaling is predictable, empirically):

    loss(s) = loss(1) * (floor + (1 - floor) * s ** -exponent)

Three numbers from four sizes can't be told exactly, and the best fit alone would hide that. So every pair of an
exponent and a floor on a grid is weighted by how well it explains the losses (Bayes' rule), and the
gain is that of all pairs in their weights. The sizes are judged by the same images; what makes a mean deviate from the
law is which groups happened to train, as draws of one size differ. So the present loss, too, has luck in it, and the
gain is what the law leaves of the present loss at twice the images: who was unlucky gains more. To that comes the luck
of the images that judge. Where no law of the grid fits, the deviations of the means from the best one say
how exact they are (Birge 1932), not the draws alone.

Nothing is said beyond twice the images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.statistics.intervals import FloatArray
from tuner.statistics.means import error_of_mean

__all__ = ["FEWEST_GROUPS", "LEVEL", "SHARES", "Curve", "Gain", "Point", "fit_curve", "mixture"]

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Of the groups, at which heads are solved."""

LEVEL = 0.90
"""Of the intervals."""

TINY = 1e-10
"""A variance, so that losses of zero can be divided by theirs."""

FEWEST_GROUPS = 16
"""Groups below which nothing is said: an eighth of fewer holds one group or none."""

EXPONENTS = np.array([0.0, *np.linspace(0.05, 0.8, 13)])
FLOORS = np.linspace(0.0, 0.98, 15)
"""The grid; an exponent of 0 is a loss that stays, floors are shares of the present loss."""

FLOORLESS = 4
"""A floor is expected with a weight of (1 - floor) to this power: most curves are far from theirs."""

MISFIT = 0.04
"""By how much losses may be off the law, as a share of their whole fall. This, the grid and its weights were chosen on
two sets of images and are shown on a third, in `benchmarks/statistics/advice.py`."""

CARRIED = 0.7
"""The error of the next doubling's gain over that of the last one's, as far as it comes from the images that judge."""


@dataclass(frozen=True)
class Gain:
    """What is expected to be gained, in the unit of the losses, and its interval of `LEVEL`; negative is a harm."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """The losses [draws, n] of all images by models that were trained on the `share` of the groups, out of fold."""

    share: float
    losses: FloatArray


@dataclass(frozen=True)
class Curve:
    """Mean losses at `shares` [s], and what twice the images are expected to gain."""

    shares: tuple[float, ...]
    means: tuple[float, ...]
    doubled: Gain


def fit_curve(points: Sequence[Point], groups: npt.ArrayLike) -> Curve:
    """The curve of `points`, in the order of their shares, the last being 1, over images of `groups` [n].

    Raises ValueError for fewer than three points.
    """
    if len(points) < 3 or points[-1].share != 1:
        raise ValueError("a curve needs three sizes or more, the last being all")
    shares = np.array([point.share for point in points])
    means = np.array([point.losses.mean() for point in points])
    noise = _training_noise(points)
    misfit = MISFIT * max(0.0, float(means[0] - means[-1]))
    variances = noise + misfit**2 + TINY
    weights, gains, errors, off = _posterior(shares, means, variances)
    # Where the losses are farther from every law than their draws from one another, they are less exact than these say.
    if (inexact := off / max(1, len(points) - 2)) > 1:
        noise = noise * inexact
        weights, gains, errors, _ = _posterior(shares, means, variances * inexact)
    last = points[-2].losses.mean(axis=0) - points[-1].losses.mean(axis=0)
    judged = CARRIED * error_of_mean(last, groups)
    # What is trained on twice the images will have luck of its own, half as much of it.
    spread = np.sqrt(errors**2 + noise[-1] / 2 + judged**2)
    return Curve(tuple(shares.tolist()), tuple(means.tolist()), mixture(weights, gains, spread))


def mixture(weights: FloatArray, means: FloatArray, errors: FloatArray) -> Gain:
    """Mean and interval of a mixture of normal distributions with `weights` [m] that sum to 1."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    mean = float(weights @ means)
    safe = np.maximum(errors, 1e-12)
    low, high = float((means - 8 * safe).min()), float((means + 8 * safe).max())

    def quantile(share: float) -> float:
        return float(brentq(lambda x: float(weights @ ndtr((x - means) / safe)) - share, low, high))

    return Gain(mean, quantile((1 - LEVEL) / 2), quantile((1 + LEVEL) / 2))


def _posterior(
    shares: FloatArray, means: FloatArray, variances: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """The weight of each power law, what doubling gains by it, and that gain's standard error; each [laws].

    The last is how far the `means` [s] are from the law that fits them best: the sum of the squares over `variances`.
    """
    exponents, floors = (grid.ravel() for grid in np.meshgrid(EXPONENTS, FLOORS, indexing="ij"))
    shapes = floors[:, None] + (1 - floors)[:, None] * shares[None] ** -exponents[:, None]
    information = (shapes**2 / variances).sum(axis=1)
    levels = (shapes * means / variances).sum(axis=1) / information
    misfits = ((means - levels[:, None] * shapes) ** 2 / variances).sum(axis=1)
    weights = np.exp(-0.5 * (misfits - misfits.min())) / np.sqrt(information) * (1 - floors) ** FLOORLESS
    doubled = floors + (1 - floors) * 2.0**-exponents
    gains, errors = means[-1] - levels * doubled, doubled / np.sqrt(information)
    return weights / weights.sum(), gains, errors, float(misfits.min())


def _training_noise(points: Sequence[Point]) -> FloatArray:
    """The variance [s] of each mean that comes from which groups trained, as draws of one size differ.

    Draws differ by about the same share of the loss at all sizes, so all of them tell how large that is.
    """
    squares, weights = 0.0, 0.0
    for point in points:
        draws = point.losses.mean(axis=1)
        squares += float(((draws - draws.mean()) ** 2).sum())
        weights += (len(draws) - 1) * float(draws.mean()) ** 2
    share = squares / max(weights, TINY)
    return np.array([share * point.losses.mean() ** 2 / len(point.losses) for point in points])
