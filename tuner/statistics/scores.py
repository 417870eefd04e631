"""Everything that is said about one model from its logits on the test images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.wording import some
from tuner.statistics.auroc import area, auc_interval
from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray, Interval, accuracy_interval, calibration_error
from tuner.statistics.log_loss import log_losses
from tuner.statistics.posterior import count_groups, draw_f1, draw_recalls, interval_of_draws

__all__ = [
    "ScoreIntervals",
    "TestScores",
    "one_answer",
    "score",
    "score_intervals",
    "softmax",
    "why_no_interval",
]

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
    """95 % intervals of one model's scores; `image_accuracy` pretends that images are independent.

    `alone` are the class numbers that have a single group; with any of these the averages over classes have no
    interval, since one group does not show how groups of its class differ. `auc` has one interval a class, None
    where the class or the rest has fewer than two groups. The loss has its interval elsewhere, in `metric_interval`;
    the calibration error of one model has none: nothing that was tried holds the truth often enough on few groups.
    """

    accuracy: Interval
    image_accuracy: Interval
    balanced_accuracy: Interval | None
    macro_f1: Interval | None
    auc: tuple[Interval | None, ...]
    alone: tuple[int, ...] = ()


def why_no_interval(alone: Sequence[str], unit: str = "group") -> str:
    """The sentence that stands where averages over classes have no interval; `alone` are the classes' names."""
    one = len(alone) == 1
    who = f"class {alone[0]!r} has" if one else f"classes {some(map(repr, alone))} have"
    return (
        f"{who} a single test {unit}, which does not show how {unit}s of {'its' if one else 'their'} class differ:"
        " balanced accuracy, macro-F1 and AUROC are given without a 95 % interval"
    )


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
    classes = logits.shape[1]
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    hits, real, named = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = _ratio(hits, real)
    f1 = _ratio(2 * hits, real + named)
    correct = predicted == labels
    return TestScores(
        loss=float(log_losses(logits, labels).mean()),
        accuracy=float(correct.mean()),
        balanced_accuracy=float(recall[real > 0].mean()),
        macro_f1=float(f1[real > 0].mean()),
        calibration_error=calibration_error(probabilities.max(axis=1), correct),
        precision=_numbers(_ratio(hits, named)),
        recall=_numbers(recall),
        f1=_numbers(f1),
        auc=tuple(area(labels == c, probabilities[:, c]) for c in range(classes)),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
    )


def score_intervals(
    labels: IntArray, logits: FloatArray, groups: Sequence[str], *, resamples: int = 2000, seed: int = 0
) -> ScoreIntervals:
    """95 % intervals of the scores of `logits` [n, classes].

    For accuracy whole `groups` [n] are resampled within their classes; averages over classes get theirs from
    posterior draws of every class's recall.
    """
    predicted, classes = np.asarray(logits).argmax(axis=1), np.asarray(logits).shape[1]
    codes = group_codes(groups)
    correct = predicted == labels
    accuracy = accuracy_interval(correct, codes, strata=labels, resamples=resamples, seed=seed)
    by_image = accuracy_interval(correct, np.arange(len(labels)))
    counts = count_groups(labels, predicted, codes, classes)
    alone = np.flatnonzero(np.bincount(counts.classes, minlength=classes) == 1)
    probabilities = softmax(np.asarray(logits, dtype=np.float64))
    auc = tuple(auc_interval(labels == code, probabilities[:, code], codes) for code in range(classes))
    if len(alone):
        return ScoreIntervals(accuracy, by_image, None, None, auc, tuple(int(code) for code in alone))
    found, present = draw_recalls(counts, seed=seed), np.unique(labels)
    f1 = draw_f1(counts, found, seed=seed)[:, present].mean(axis=1)
    values = score(labels, logits)
    return ScoreIntervals(
        accuracy=accuracy,
        image_accuracy=by_image,
        balanced_accuracy=interval_of_draws(found.recall[:, present].mean(axis=1), values.balanced_accuracy),
        macro_f1=interval_of_draws(f1, values.macro_f1),
        auc=auc,
    )


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    top, bottom = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(bottom), where=bottom > 0)


def _numbers(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
