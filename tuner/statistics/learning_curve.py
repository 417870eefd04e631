"""What twice the images would gain: a power law with a floor, fitted to losses at several sizes of training.

The mean loss of a model that was trained on the share s of what there is follows, over a wide range, a power law
(Hestness et al. 2017, Deep learning scaling is predictable, empirically):

    loss(s) = loss(1) * (floor + (1 - floor) * s ** -exponent)

Three numbers from four sizes can't be told exactly, and the best fit alone would hide that. So every pair of an
exponent and a floor on a grid is weighted by how well it explains the losses (Bayes' rule with a flat prior), and the
gain is that of all pairs in their weights. The losses' errors over whole groups enter as a covariance: sizes are judged
by the same images, so that differences between sizes are known far better than the losses themselves.

Nothing is said beyond twice the images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray

__all__ = ["FEWEST_GROUPS", "LEVEL", "SHARES", "Curve", "Gain", "Point", "fit_curve", "mixture"]

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Of the groups, at which heads are solved."""

LEVEL = 0.90
"""Of the intervals."""

FEWEST_GROUPS = 16
"""Groups below which nothing is said: an eighth of fewer holds one group or none."""

EXPONENTS = np.linspace(0.05, 0.95, 13)
FLOORS = np.linspace(0.0, 0.5, 12)
"""The grid: with a floor above half of the loss, and a fall that is steeper than 1 / images, few curves would do."""

UNCERTAIN, INEXACT = 1.25, 0.2
"""By so much the standard error is larger than the covariances say; and the share of a gain by which the law itself may
be off. Both were chosen on two sets and shown on a third, in `benchmarks/statistics/advice.py`."""


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
    covariance = _covariance(points, groups) + np.diag(noise)
    weights, gains, errors = _posterior(shares, means, covariance)
    # What is trained on twice the images will have luck of its own, half as much of it.
    luck = noise[-1] / 2
    doubled = mixture(weights, gains, np.hypot(UNCERTAIN * np.sqrt(errors**2 + luck), INEXACT * gains))
    return Curve(tuple(shares.tolist()), tuple(means.tolist()), doubled)


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
    shares: FloatArray, means: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The weight of each power law, what it gains from doubling, and that gain's standard error; each [laws]."""
    exponents, floors = (grid.ravel() for grid in np.meshgrid(EXPONENTS, FLOORS, indexing="ij"))
    shapes = floors[:, None] + (1 - floors)[:, None] * shares[None] ** -exponents[:, None]
    inverse = np.linalg.inv(covariance)
    information = np.einsum("ls,st,lt->l", shapes, inverse, shapes)
    levels = np.maximum(shapes @ inverse @ means / information, 0.0)
    rest = means[None] - levels[:, None] * shapes
    misfit = np.einsum("ls,st,lt->l", rest, inverse, rest)
    weights = np.exp(-0.5 * (misfit - misfit.min())) / np.sqrt(information)
    steps = (1 - floors) * (1 - 2.0**-exponents)
    return weights / weights.sum(), levels * steps, steps / np.sqrt(information)


def _training_noise(points: Sequence[Point]) -> FloatArray:
    """The variance [s] of each mean that comes from which groups trained, as draws of one size differ.

    Of a size that was drawn once it is that of the size before, in proportion to the groups.
    """
    found: list[float] = []
    for number, point in enumerate(points):
        if len(point.losses) > 1:
            own = float(point.losses.mean(axis=1).var(ddof=1)) / len(point.losses)
        else:
            before = points[number - 1]
            own = found[-1] * len(before.losses) * before.share / point.share
        found.append(own)
    return np.array(found)


def _covariance(points: Sequence[Point], groups: npt.ArrayLike) -> FloatArray:
    """The covariance [s, s] of the mean losses over new groups of images; made invertible by a little."""
    codes = group_codes(groups)
    sizes = np.bincount(codes)
    count, images = len(sizes), len(codes)
    parts = []
    for point in points:
        losses = point.losses.mean(axis=0)
        parts.append(np.bincount(codes, weights=losses) - losses.mean() * sizes)
    residuals = np.stack(parts)
    found = residuals @ residuals.T * count / (count - 1) / images**2
    return np.asarray(found + np.eye(len(points)) * (1e-6 * float(np.trace(found)) + 1e-12))
