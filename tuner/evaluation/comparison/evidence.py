"""What a comparison is made from, and what it found: plain data that tables, words and pictures share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from trainables.metrics import METRICS, Answers, Metric
from tuner.evaluation.comparison.finalists import Finalist
from tuner.runs.directory import Run
from tuner.statistics.intervals import FloatArray

__all__ = ["Comparison", "Evidence", "FoldsFound", "Validation"]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    `plain` are three sentences for anybody: what was best, how good it is, how sure that is. `sentences` say it in the
    words of statistics, the chosen finalist and its scores first. `table` has one row a finalist, best
    validation first; its first row is the chosen one. `pairs` has one row for every judged metric and every two of the
    finalists. Shares and their differences are fractions, losses nats an image. `report` is the page, `out` its folder.
    `findings` are sentences on published figures, on trainings that fell apart, and on the leak of a split by image.
    `folds` is the same over all images, each answered out of fold, where that was asked.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    report: Path
    out: Path
    findings: tuple[str, ...] = ()
    folds: "FoldsFound | None" = None
    plain: tuple[str, ...] = ()

    @property
    def conclusion(self) -> str:
        """All sentences as one text, the plain ones first."""
        return " ".join((*self.plain, *self.sentences))


@dataclass(frozen=True)
class Validation:
    """The validation images [m], on which trials were chosen, and the logits [m, classes] of finalists by key."""

    paths: tuple[str, ...]
    groups: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    logits: Mapping[str, FloatArray]


@dataclass(frozen=True)
class Evidence:
    """What pictures and page are made from: the finalists and their answers to the same images [n].

    `metric` is that of the search; `positive` the number of the class that metrics of one class are of;
    `costs` [true class, named class] what answers cost, where that was given. `validation` is what the finalists answer
    to the validation images, `temperatures` what follows from it, by key: 1 for one that is not there. `chosen_by` is
    how many images chose the first finalist out of fold, None where validation alone did.
    """

    runs: tuple[Run, ...]
    finalists: tuple[Finalist, ...]
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    groups: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    logits: Mapping[str, FloatArray]
    metric: Metric = METRICS["val_loss"]
    positive: int | None = None
    costs: FloatArray | None = None
    validation: Validation | None = None
    temperatures: Mapping[str, float] = field(default_factory=dict)
    chosen_by: int | None = None

    def answers(self, key: str) -> Answers:
        """The answers of the finalist `key` under its temperature, as the exported model gives them."""
        return Answers(self.labels, self.logits[key] / self.temperatures.get(key, 1.0), self.positive)

    @property
    def grouped(self) -> bool:
        """Whether some test images share a group."""
        return self.judges < len(self.groups)

    @property
    def judges(self) -> int:
        """How many groups judge: images of one group are no independent witnesses."""
        return len(set(self.groups))

    @property
    def unit(self) -> str:
        """What is counted when judges are: "group", or "image" where every image is a group of its own."""
        return "group" if self.grouped else "image"

    def correct(self, key: str) -> npt.NDArray[np.bool_]:
        """Which images [n] the finalist `key` gets right."""
        return np.asarray(self.logits[key].argmax(axis=1) == self.labels)


@dataclass(frozen=True)
class FoldsFound:
    """What the folds say: tables as those of the test images, and sentences."""

    count: int
    table: pd.DataFrame
    pairs: pd.DataFrame
    sentences: tuple[str, ...]
    remarks: tuple[str, ...]
    evidence: "Evidence"

    @property
    def conclusion(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)
