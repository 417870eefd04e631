"""What a model's answers to images that it was not fitted to say of it: temperature, sets, silence, costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.temperature import fit_temperature, temperatures_of_others
from tuner.evaluation.comparison.costs import decide, incurred
from tuner.statistics.calibration import (
    BINS,
    Change,
    calibration_change,
    loss_change,
)
from tuner.statistics.conformal import conformal_sets, conformity_scores, needed_groups, thresholds
from tuner.statistics.intervals import FloatArray, Interval, accuracy_interval
from tuner.statistics.means import cost_interval, mean_interval
from tuner.statistics.scores import softmax

__all__ = [
    "ALPHA",
    "OUT_OF_FOLD",
    "Answers",
    "Calibration",
    "answered",
    "calibrate",
    "costs_of",
    "ends",
    "improvement",
    "sets_of",
    "uncertainty",
]

OUT_OF_FOLD = "by models of the same configuration that have not seen the image's group"
"""Who answered the images of a calibration, where these are not the validation images alone."""

ALPHA = 0.1
"""Of which sets the card tells."""

CONFIDENCES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""For which the share answered and its accuracy are given."""

ESTIMATOR = (
    f"confidence of the class named against accuracy, in {BINS} bins of equally many images; in metrics.json expected"
    " is the mean distance (too large on few images), square the mean squared distance less the noise of the bins"
)


@dataclass(frozen=True)
class Answers:
    """Logits [n, classes] of a model for images whose class numbers and groups are `labels` and `groups` [n]."""

    logits: FloatArray
    labels: npt.NDArray[np.int64]
    groups: Sequence[str]

    def probabilities(self, temperature: float) -> FloatArray:
        """The answers [n, classes] as the exported model gives them."""
        return softmax(self.logits / temperature)


@dataclass(frozen=True)
class Calibration:
    """A temperature and the scores from which sets are made; `held_out` says in words by which answers."""

    temperature: float
    scores: tuple[tuple[float, ...], ...]
    answers: Answers
    held_out: str


def calibrate(answers: Answers, held_out: str) -> Calibration:
    """The temperature that suits `answers`, and the scores of one image of each of their groups under it."""
    temperature = fit_temperature(answers.logits, answers.labels, answers.groups)
    scores = conformity_scores(answers.probabilities(temperature), answers.labels, answers.groups)
    return Calibration(temperature, scores, answers, held_out)


def improvement(answers: Answers, temperature: float | FloatArray) -> dict[str, Any]:
    """Log loss and calibration error of `answers` before and after the temperature, for metrics.json.

    `temperature` is one that other images gave, or one [n] for each image: those that gave a temperature would all
    but always say that it helps.
    """
    loss = loss_change(answers.logits, answers.labels, answers.groups, temperature)
    error = calibration_change(answers.logits, answers.labels, answers.groups, temperature)
    return {
        "images": len(answers.labels),
        "groups": len(set(answers.groups)),
        "loss": _change(loss),
        "calibration_error": {
            "estimator": ESTIMATOR,
            "expected": {"before": error.expected_before, "after": error.expected_after},
            "square": _change(error.square),
        },
    }


def sets_of(answers: Answers, calibration: Calibration, alpha: float = ALPHA) -> dict[str, Any]:
    """How often the sets hold the truth of `answers`, in all and by class number, and how large they are."""
    limits = thresholds(calibration.scores, alpha)
    chosen = conformal_sets(answers.probabilities(calibration.temperature), limits)
    held = chosen[np.arange(len(answers.labels)), answers.labels]
    sizes = np.bincount(chosen.sum(axis=1), minlength=len(limits) + 1) / len(chosen)
    return {
        "coverage": float(held.mean()),
        "coverage_95": ends(accuracy_interval(held, answers.groups, strata=answers.labels)),
        "coverage_by_class": [
            float(held[answers.labels == code].mean()) if (answers.labels == code).any() else None
            for code in range(len(limits))
        ],
        "share_by_size": sizes.tolist(),
        "mean_size": float(chosen.sum(axis=1).mean()),
    }


def answered(answers: Answers, temperature: float) -> list[dict[str, float | None]]:
    """For each of CONFIDENCES the share of images whose likeliest class has it, and the accuracy on these."""
    probabilities = answers.probabilities(temperature)
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == answers.labels
    return [
        {
            "min_confidence": bar,
            "answered": float((sure >= bar).mean()),
            "accuracy": float(right[sure >= bar].mean()) if (sure >= bar).any() else None,
        }
        for bar in CONFIDENCES
    ]


def costs_of(answers: Answers, temperature: float, matrix: FloatArray) -> dict[str, Any]:
    """What an image costs on the average by `matrix`, if the likeliest class is named and if the cheapest is."""
    probabilities = answers.probabilities(temperature)
    likeliest, cheapest = (
        incurred(answers.labels, named, matrix)
        for named in (probabilities.argmax(axis=1), decide(probabilities, matrix))
    )
    return _change(
        Change(
            before=float(likeliest.mean()),
            before_95=cost_interval(likeliest, matrix, answers.groups),
            after=float(cheapest.mean()),
            after_95=cost_interval(cheapest, matrix, answers.groups),
            difference=float((cheapest - likeliest).mean()),
            difference_95=mean_interval(cheapest - likeliest, answers.groups),
        ),
        ("likeliest", "cheapest"),
    )


def uncertainty(
    classes: Sequence[str],
    calibration: Calibration | None,
    test: Answers | None,
    costs: FloatArray | None,
) -> dict[str, Any]:
    """What metrics.json says under `calibration`, `sets`, `answered` and `costs`; None where nothing can be said."""
    temperature = 1.0 if calibration is None else calibration.temperature
    found: dict[str, Any] = {"calibration": None, "sets": None, "answered": None, "costs": None}
    if calibration is not None:
        own = calibration.answers
        of_others = temperatures_of_others(own.logits, own.labels, own.groups)
        found["calibration"] = {
            "temperature": temperature,
            "held_out": calibration.held_out,
            "validation": improvement(own, of_others),
            "test": None if test is None else improvement(test, temperature),
        }
        found["sets"] = {
            "alpha": ALPHA,
            "thresholds": dict(zip(classes, thresholds(calibration.scores, ALPHA).tolist(), strict=True)),
            "calibration_groups": dict(zip(classes, map(len, calibration.scores), strict=True)),
            "needed_groups": needed_groups(ALPHA),
            "test": None if test is None else sets_of(test, calibration),
        }
    if test is not None:
        found["answered"] = answered(test, temperature)
    if costs is not None:
        found["costs"] = {
            "matrix": costs.tolist(),
            "test": None if test is None else costs_of(test, temperature, costs),
        }
    return found


def ends(interval: Interval | None) -> list[float] | None:
    """The ends of an interval as metrics.json has them."""
    return None if interval is None else [interval.low, interval.high]


def _change(change: Change, names: tuple[str, str] = ("before", "after")) -> dict[str, Any]:
    first, second = names
    return {
        first: change.before,
        f"{first}_95": ends(change.before_95),
        second: change.after,
        f"{second}_95": ends(change.after_95),
        "difference": change.difference,
        "difference_95": ends(change.difference_95),
    }
