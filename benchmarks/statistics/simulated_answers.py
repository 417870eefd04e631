"""Simulated answers: groups of images that hang together, models of a given accuracy. No interval assumes this law."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.metrics import Answers
from tuner.statistics.scores import score

PROFILES = 20

TEMPERATURE = 2.0
"""By which logits are multiplied: about what suits the simulated models best, so that their log loss is a usual one."""


@dataclass(frozen=True)
class Design:
    """Groups of each class, each class's accuracy, the noise's common share, the images of successive groups.

    Without accuracies they are drawn from 0.8 to 0.98, in PROFILES ways.
    """

    groups: tuple[int, ...]
    accuracies: tuple[float, ...] | None
    common: float
    images: tuple[int, ...] = (4,)

    @property
    def profiles(self) -> list[tuple[float, ...]]:
        """The accuracies of the classes, once for each way in which they are chosen."""
        if self.accuracies is not None:
            return [self.accuracies]
        drawn = np.random.default_rng(len(self.groups)).uniform(0.8, 0.98, (PROFILES, len(self.groups)))
        return [tuple(map(float, row)) for row in drawn]

    @property
    def name(self) -> str:
        """The design in a few words; runs of equal numbers are counted."""
        right = "drawn" if self.accuracies is None else _runs(self.accuracies)
        return f"{_runs(self.groups)} groups of {' or '.join(map(str, self.images))}; {right} right"


@dataclass(frozen=True)
class Sample:
    """Class numbers [n], logits [n, classes] and group numbers [n] of one simulated test set."""

    labels: np.ndarray
    logits: np.ndarray
    groups: np.ndarray

    def answers(self, positive: int | None = None) -> Answers:
        """As metrics want them."""
        return Answers(self.labels, self.logits, positive)

    def scores(self) -> np.ndarray:
        """Accuracy, balanced accuracy, macro-F1, AUC of the last class, log loss and calibration error."""
        found = score(self.labels, self.logits)
        values = (found.accuracy, found.balanced_accuracy, found.macro_f1, found.auc[-1])
        return np.array([*values, found.loss, found.calibration_error])


def skills(accuracies: Sequence[float]) -> np.ndarray:
    """What to add to each class's own logit that it is right as often as `accuracies` say."""
    classes = len(accuracies)
    noise = np.random.default_rng(0).normal(size=(200_000, classes))
    found = []
    for code, accuracy in enumerate(accuracies):
        others = noise + _likeness(code, classes)
        lead = np.delete(others, code, axis=1).max(axis=1) - others[:, code]
        found.append(np.quantile(lead, accuracy))
    return np.array(found)


def simulate(
    design: Design,
    skill: np.ndarray,
    rng: np.random.Generator,
    models: int = 1,
    times: int = 1,
    gains: Sequence[float] | None = None,
    temperatures: Sequence[float] | None = None,
) -> list[Sample]:
    """A test set with the answers of `models`, which share half of their noise; `times` as many groups as designed.

    They are equally good but for `gains`, which are added to the true class's logit, and equally sure of themselves
    but for `temperatures`, by which their logits are multiplied.
    """
    classes = len(design.groups)
    sizes = [np.resize(design.images, count * times) for count in design.groups]
    labels = np.repeat(np.arange(classes), [part.sum() for part in sizes])
    size = np.concatenate(sizes)
    groups = np.repeat(np.arange(len(size)), size)

    def noise() -> np.ndarray:
        shared = rng.normal(size=(len(size), classes))[groups]
        return math.sqrt(design.common) * shared + math.sqrt(1 - design.common) * rng.normal(
            size=shared.shape
        )

    both = noise() if models > 1 else None
    gains, temperatures = gains or [0.0] * models, temperatures or [TEMPERATURE] * models
    samples = []
    for gain, temperature in zip(gains, temperatures, strict=True):
        drawn = noise() if both is None else (both + noise()) / math.sqrt(2)
        samples.append(Sample(labels, temperature * (drawn + centre(labels, skill, gain)), groups))
    return samples


def centre(labels: np.ndarray, skill: np.ndarray, gain: float = 0.0) -> np.ndarray:
    """The logits [n, classes] about which the noise lies, before the temperature."""
    classes = len(skill)
    offset = np.stack([_likeness(code, classes) for code in range(classes)]) + np.diag(skill + gain)
    return np.asarray(offset[labels])


def _likeness(code: int, classes: int) -> np.ndarray:
    """A class is taken for the next one more easily than for others."""
    return 0.5 * (np.arange(classes) == (code + 1) % classes)


def _runs(values: Sequence[float]) -> str:
    if len(values) <= 3:
        return "/".join(f"{value:g}" for value in values)
    counted = {value: values.count(value) for value in values}
    if len(counted) <= 2:
        return " + ".join(f"{times} x {value:g}" for value, times in counted.items())
    return f"{min(values):g} to {max(values):g}"
