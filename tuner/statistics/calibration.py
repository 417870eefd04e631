"""How far a model's probabilities are from what happens, before and after the division of its logits by a temperature.

The temperature itself is fitted by `trainables.temperature`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.metrics.answers import log_softmax
from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray, Interval, group_bootstrap
from tuner.statistics.log_loss import log_losses
from tuner.statistics.means import mean_interval, variance_of_mean
from tuner.statistics.scores import softmax

__all__ = [
    "BINS",
    "CalibrationError",
    "Change",
    "calibration_change",
    "error_by_mass",
    "loss_change",
    "mean_logits",
]

IntArray = npt.NDArray[np.int64]

BINS = 10
"""Bins of the calibration error, each with a tenth of the images."""


@dataclass(frozen=True)
class Change:
    """A score before and after, and `difference`, after minus before; each with its 95 % interval over groups.

    An interval is None where there are fewer than two groups.
    """

    before: float
    before_95: Interval | None
    after: float
    after_95: Interval | None
    difference: float
    difference_95: Interval | None


@dataclass(frozen=True)
class CalibrationError:
    """Two estimates, before and after: `expected` is `error_by_mass`, `square` the mean squared distance.

    The square is free of the noise of few images (so it may fall below 0), and has an interval; its root is in the
    unit of the first.
    """

    expected_before: float
    expected_after: float
    square: Change


def mean_logits(members: npt.ArrayLike, counts: npt.ArrayLike) -> FloatArray:
    """Logits [n, classes] of an ensemble: the logarithm of its members' mean probability.

    `members` are their logits [members, n, classes], `counts` [members] how often each is taken.
    """
    logs = log_softmax(np.asarray(members, dtype=np.float64))
    share = np.asarray(counts, dtype=np.float64) / np.sum(counts)
    highest = logs.max(axis=0)
    mixed = (np.exp(logs - highest) * share[:, None, None]).sum(axis=0)
    return np.asarray(highest + np.log(mixed), dtype=np.float64)


def error_by_mass(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error of the predicted class over `bins` of equal mass (Nguyen and O'Connor 2015).

    The images are sorted by `confidence` [n] and cut into bins of as many; the distances between the mean confidence of
    a bin and its share of `correct` [n] are averaged. Like every such error it is too large on few images, since chance
    moves a bin's share.
    """
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    gaps = np.bincount(_bins(sure, bins), weights=sure - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))


def loss_change(
    logits: FloatArray, labels: IntArray, groups: npt.ArrayLike, temperature: float | FloatArray
) -> Change:
    """Log loss of `logits` [n, classes] in nats an image, before and after the division by `temperature`, one or [n].

    The intervals are those of `mean_interval` over whole `groups` [n]; a loss is not below 0.
    """
    logits = np.asarray(logits, dtype=np.float64)
    before, after = (log_losses(scaled, labels) for scaled in (logits, _divided(logits, temperature)))
    return Change(
        before=float(before.mean()),
        before_95=_positive(mean_interval(before, groups)),
        after=float(after.mean()),
        after_95=_positive(mean_interval(after, groups)),
        difference=float((after - before).mean()),
        difference_95=mean_interval(after - before, groups),
    )


def calibration_change(
    logits: FloatArray,
    labels: IntArray,
    groups: npt.ArrayLike,
    temperature: float | FloatArray,
    bins: int = BINS,
) -> CalibrationError:
    """Calibration error of `logits` [n, classes], before and after the division by `temperature`, one or [n].

    The square is that of each bin's distance between confidence and accuracy, less its variance over whole `groups`
    [n] (Kumar, Liang and Ma 2019), averaged over the images of bins of equal mass, or as near to it as equal
    confidences allow. Its standard errors are those of a bootstrap of
    groups, its intervals Student's.
    """
    logits = np.asarray(logits, dtype=np.float64)
    correct, codes = logits.argmax(axis=1) == labels, group_codes(groups)
    size = np.bincount(codes)
    plain, squares = [], []
    columns: list[FloatArray] = []
    for scaled in (logits, _divided(logits, temperature)):
        sure = softmax(scaled).max(axis=1)
        places = _bins(sure, bins)
        cells = np.bincount(codes * bins + places, weights=sure - correct, minlength=len(size) * bins)
        # So that the squares of their sums over all images add up to the mean over images.
        share = np.bincount(places, minlength=bins) / len(sure)
        columns.append(cells.reshape(-1, bins) / np.sqrt(np.where(share > 0, share, 1)))
        plain.append(error_by_mass(sure, correct, bins))
        squares.append(_square(columns[-1], size))
    change = Change(squares[0], None, squares[1], None, squares[1] - squares[0], None)
    if len(size) > 1:
        change = _with_intervals(change, np.concatenate([*columns, size[:, None]], axis=1), bins)
    return CalibrationError(plain[0], plain[1], change)


def _square(cells: FloatArray, size: IntArray) -> float:
    """Mean squared distance of the bins, without their noise.

    `cells` [groups, bins] are sums of distances, each over the root of its bin's share of the images.
    """
    groups, bins = cells.shape
    gaps = cells.sum(axis=0) / size.sum()
    noise = variance_of_mean(cells, size) if groups > 1 else np.zeros(bins)
    return float((gaps**2 - noise).sum())


def _with_intervals(change: Change, sums: FloatArray, bins: int) -> Change:
    from scipy import special

    def squares(totals: FloatArray) -> FloatArray:
        gaps = totals[..., :-1] / totals[..., -1:]
        first, second = ((part**2).sum(axis=-1) for part in (gaps[..., :bins], gaps[..., bins:]))
        return np.stack([first, second, second - first], axis=-1)

    halves = float(special.stdtrit(len(sums) - 1, 0.975)) * group_bootstrap(sums, squares)
    middles = (change.before, change.after, change.difference)
    first, second, gap = (
        Interval(middle - float(half), middle + float(half))
        for middle, half in zip(middles, halves, strict=True)
    )
    return Change(change.before, _positive(first), change.after, _positive(second), change.difference, gap)


def _divided(logits: FloatArray, temperature: float | FloatArray) -> FloatArray:
    return np.asarray(logits / np.reshape(temperature, (-1, 1)), dtype=np.float64)


def _positive(interval: Interval | None) -> Interval | None:
    return None if interval is None else Interval(max(0.0, interval.low), max(0.0, interval.high))


def _bins(confidence: FloatArray, bins: int) -> IntArray:
    """The bin [n] of each image; equal confidences share one."""
    ordered = np.sort(confidence)
    edges = ordered[[len(ordered) * number // bins for number in range(1, bins)]]
    return np.asarray(np.searchsorted(edges, confidence, side="right"), dtype=np.int64)
