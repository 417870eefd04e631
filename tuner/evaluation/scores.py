"""Everything that is said about one model from its logits on the test images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.evaluation.statistics import (
    FloatArray,
    Interval,
    accuracy_interval,
    calibration_error,
    group_bootstrap,
    score_interval,
)

__all__ = ["ScoreIntervals", "TestScores", "one_answer", "score", "score_intervals", "softmax"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TestScores:
    """Scores of one model; the tuples hold one number a class, in the order of the classes.

    `loss` is plain cross-entropy in nats per image. `auc` is one class against the rest, NaN where the images
    hold only one side. `confusion` counts images [true class][predicted class].
    """

    loss: float
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    calibration_error: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    auc: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def one_answer(self) -> int | None:
        """The class that every image was taken for, whatever it showed; None if the answers differ."""
        return one_answer(self.confusion)


@dataclass(frozen=True)
class ScoreIntervals:
    """95 % intervals of one model's scores; `image_accuracy` pretends that images are independent."""

    accuracy: Interval
    image_accuracy: Interval
    balanced_accuracy: Interval
    macro_f1: Interval


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities [n, classes] of `logits` [n, classes]; rows sum to 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def one_answer(confusion: Sequence[Sequence[int]]) -> int | None:
    """The only class among the predictions of a confusion matrix, rows being the true classes.

    None if there are several, or if all images are of one class: then one answer is no failing.
    """
    counts = np.asarray(confusion)
    answered = np.flatnonzero(counts.sum(axis=0))
    several = np.count_nonzero(counts.sum(axis=1)) > 1
    return int(answered[0]) if len(answered) == 1 and several else None


def score(labels: IntArray, logits: FloatArray) -> TestScores:
    """Scores of `logits` [n, classes] for the class numbers `labels` [n].

    A class without a prediction has precision 0. The averages are over the classes that have images.
    """
    logits = np.asarray(logits, dtype=np.float64)
    probabilities, predicted = softmax(logits), logits.argmax(axis=1)
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, labels]
    classes = logits.shape[1]
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    hits, real, named = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = _ratio(hits, real)
    f1 = _ratio(2 * hits, real + named)
    correct = predicted == labels
    return TestScores(
        loss=float(losses.mean()),
        accuracy=float(correct.mean()),
        balanced_accuracy=float(recall[real > 0].mean()),
        macro_f1=float(f1[real > 0].mean()),
        calibration_error=calibration_error(probabilities.max(axis=1), correct),
        precision=_numbers(_ratio(hits, named)),
        recall=_numbers(recall),
        f1=_numbers(f1),
        auc=tuple(_auc(labels == c, probabilities[:, c]) for c in range(classes)),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
    )


def score_intervals(
    labels: IntArray, logits: FloatArray, groups: Sequence[str], *, resamples: int = 2000, seed: int = 0
) -> ScoreIntervals:
    """95 % intervals of the scores of `logits` [n, classes].

    Whole `groups` [n] are resampled within their classes.
    """
    predicted, classes = np.asarray(logits).argmax(axis=1), np.asarray(logits).shape[1]
    correct = predicted == labels
    first, codes = np.unique(np.asarray(groups), return_index=True, return_inverse=True)[1:]
    count = len(first)
    sums = np.concatenate(
        [
            _per_group(codes[correct], labels[correct], count, classes),
            _per_group(codes, labels, count, classes),
            _per_group(codes, predicted, count, classes),
        ],
        axis=1,
    )
    strata = labels[first]
    errors = group_bootstrap(sums, _balanced_and_f1, strata=strata, resamples=resamples, seed=seed)
    values = _balanced_and_f1(sums.sum(axis=0))
    # The average over classes knows no more than its rarest class: that is its size if groups hang together.
    present = np.bincount(strata, minlength=classes)
    present = present[present > 0]
    full = len(present) ** 2 / float((1 / present).sum())
    wrong = len(np.unique(codes[~correct]))
    informative = min(wrong, len(np.unique(codes[correct])))
    images = np.arange(len(labels))
    return ScoreIntervals(
        accuracy=accuracy_interval(correct, codes, strata=labels, resamples=resamples, seed=seed),
        image_accuracy=accuracy_interval(correct, images),
        balanced_accuracy=score_interval(float(values[0]), float(errors[0]), full, informative),
        macro_f1=score_interval(float(values[1]), float(errors[1]), full, informative),
    )


def _balanced_and_f1(totals: FloatArray) -> FloatArray:
    hits, real, named = np.split(totals, 3, axis=-1)
    present = real > 0
    count = present.sum(axis=-1)
    recall = (_ratio(hits, real) * present).sum(axis=-1) / count
    return np.stack([recall, (_ratio(2 * hits, real + named) * present).sum(axis=-1) / count], axis=-1)


def _per_group(codes: IntArray, classes_of: IntArray, groups: int, classes: int) -> FloatArray:
    cells = np.bincount(codes * classes + classes_of, minlength=groups * classes)
    return cells.reshape(groups, classes).astype(np.float64)


def _auc(positive: npt.NDArray[np.bool_], probability: FloatArray) -> float:
    from scipy.stats import rankdata

    yes, no = int(positive.sum()), int((~positive).sum())
    if yes == 0 or no == 0:
        return float("nan")
    ranks = float(rankdata(probability)[positive].sum())
    return (ranks - yes * (yes + 1) / 2) / (yes * no)


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    top, bottom = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(bottom), where=bottom > 0)


def _numbers(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
