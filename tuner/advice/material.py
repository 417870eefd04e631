"""What a run left that advice is made of: its images, the heads and trials with their answers, kept features."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.data.split import Split
from trainables.errors import RunProblem
from trainables.temperature import calibrated_losses
from trainables.wording import printable
from tuner.advice.features import pool_features
from tuner.advice.heads import Answered, Images, best_penalty, compressed, heads_on
from tuner.console.reporter import Reporter
from tuner.runs.directory import Run, rows_of
from tuner.runs.trial_table import trial_config
from tuner.statistics.intervals import FloatArray
from tuner.tuning.candidates import Candidate, Judges
from tuner.tuning.estimates import best_row
from tuner.tuning.fold_answers import out_of_fold
from tuner.tuning.folds import milliseconds_of
from tuner.tuning.ranking import counts

__all__ = ["Head", "Material", "wrong"]

QUICK = 200_000
"""Images times classes up to which heads on parts of the images are solved within some ten seconds on two cores."""

ENOUGH = 0.5
"""Share of the images that a trial has to have answered, for its losses to stand for the whole."""


@dataclass(frozen=True)
class Head:
    """A head that the probe solved: its backbone, the side in pixels, what the probe says of it, and its answers.

    `logits` [n, classes] are those of the training and validation images, out of fold; NaN where there are none.
    """

    model: str
    image_size: int
    row: Mapping[str, Any]
    logits: FloatArray

    @property
    def milliseconds(self) -> float:
        """Of one image through the backbone, on one thread of the processor that probed."""
        return float(self.row["milliseconds"])


class Material:
    """A run, read for advice. Nothing of the test images is among it.

    If it is to be `quick`, `images` raises RunProblem where images times classes are more than `QUICK`.
    """

    def __init__(self, run: Run, reporter: Reporter, quick: bool = False) -> None:
        self.run, self.reporter, self.quick = run, reporter, quick
        self.record = run.record
        self.pool: Split = run.images_and_parts().part("train", "val")
        self.groups = np.asarray(self.pool.groups, dtype=str)
        self.classes = tuple(map(str, self.record["data"]["classes"]))

    @property
    def image_size(self) -> int:
        """The side in pixels at which the run searched."""
        return int(self.record["image_size"])

    @property
    def unit(self) -> str:
        """What judges: groups where some were given, else images."""
        return "group" if self.pool.grouped else "image"

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """The trials that count, in their order."""
        rows = [
            {name: None if value != value else value for name, value in row.items()}
            for row in rows_of(self.run.trials())
        ]
        return sorted((row for row in rows if counts(row)), key=lambda row: int(row["number"]))

    @cached_property
    def chosen(self) -> dict[str, Any] | None:
        """The row of the trial that the run would ship."""
        return best_row(self.run)

    @cached_property
    def heads(self) -> list[Head]:
        """The probe's heads whose answers were kept, the lowest loss first."""
        document = self.run.probe() or {}
        rows = [*document.get("backbones", []), *document.get("sizes", [])]
        found: dict[tuple[str, int], Head] = {}
        for row in rows:
            key = (str(row["model"]), int(row.get("image_size", document["image_size"])))
            logits = _kept(self.run, *key)
            if logits is not None and logits.shape == (len(self.pool), len(self.classes)):
                found[key] = Head(*key, row, logits)
        return sorted(found.values(), key=lambda head: float(head.row["log_loss"]))

    @cached_property
    def head(self) -> Head | None:
        """The best head at the run's side."""
        return next((head for head in self.heads if head.image_size == self.image_size), None)

    @cached_property
    def answers(self) -> dict[str, FloatArray]:
        """The answers out of fold [n, classes] of every trial that has some; NaN where it has none."""
        found = {str(row["trial_id"]): out_of_fold(self.run, row) for row in self.trials}
        shape = (len(self.pool), len(self.classes))
        return {name: own for name, own in found.items() if own is not None and own.shape == shape}

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The trials that the run judged, with their answers; all that have answered where it judged none."""
        judged = self.run.judged()
        known = None if judged is None else {(str(r["trial_id"]), int(r["epoch"])) for r in rows_of(judged)}
        return [
            Candidate(
                row, trial_config(row), self.answers[name], milliseconds_of(self.run, str(row["model"]))
            )
            for row in self.trials
            if (name := str(row["trial_id"])) in self.answers
            and (known is None or (name, int(row["best_epoch"])) in known)
        ]

    @cached_property
    def judges(self) -> Judges:
        """The images, and what they judge by."""
        positive = self.record.get("positive")
        number = None if positive is None else self.classes.index(str(positive))
        return Judges(self.pool, str(self.record["metric"]), number)

    @cached_property
    def level(self) -> tuple[str, FloatArray] | None:
        """Whose answers stand for the model as it is, and the answers [n, classes].

        They are the chosen trial's where it answered enough images, else the best head's.
        """
        chosen = None if self.chosen is None else str(self.chosen["trial_id"])
        own = self.answers.get(chosen or "")
        if chosen is not None and own is not None and _covers(own):
            return chosen, own
        return None if self.head is None else (f"the solved head on {self.head.model}", self.head.logits)

    def milliseconds(self, model: str) -> float | None:
        """Of one image through the backbone at the run's side, where the probe measured it."""
        rows = [head for head in self.heads if head.model == model and head.image_size == self.image_size]
        return rows[0].milliseconds if rows else None

    @property
    def images_of(self) -> str:
        """The backbone whose frozen features `images` have."""
        return str(self.head.model if self.head is not None else (self.chosen or {}).get("model", ""))

    @cached_property
    def images(self) -> Images:
        """The images with the features of the best frozen backbone.

        Features that are kept are read, others are computed. Raises RunProblem where there are none, or where there are
        too many images for a quick answer.
        """
        if self.quick and len(self.pool) * len(self.classes) > QUICK:
            raise RunProblem(
                f"heads on parts of {len(self.pool):,} images of {len(self.classes):,} classes take minutes;"
                f" tuner advise {printable(self.run.path)} takes the time"
            )
        head, model = self.head, self.images_of
        if not model:
            raise RunProblem("the run has no trial with a score and no probe")
        features = compressed(pool_features(self.run, self.pool, model, self.reporter))
        images = Images(features, self.pool.numbers, self.groups, self.classes, 1.0, int(self.record["seed"]))
        if head is not None:
            return replace(images, l2=float(head.row["l2"]))
        return replace(images, l2=best_penalty(images))

    @cached_property
    def frozen(self) -> Answered:
        """What heads on the frozen backbone answer, solved on all groups but those of an image's fold."""
        return heads_on(self.images)


def wrong(logits: FloatArray, labels: npt.NDArray[np.int64]) -> FloatArray:
    """1 for an image whose class is not the likeliest, else 0; [n]."""
    return np.asarray(logits.argmax(axis=1) != labels, dtype=np.float64)


def losses_of(
    logits: FloatArray, labels: npt.NDArray[np.int64], groups: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """The log losses [n] and the errors [n], 1 or 0, of the answers.

    The losses are under temperatures that images of other `groups` [n] gave, as where a run judges its trials.
    """
    return calibrated_losses(logits, labels, groups), wrong(logits, labels)


def _covers(logits: FloatArray) -> bool:
    return bool(np.isfinite(logits).all(axis=1).mean() >= ENOUGH)


def _kept(run: Run, model: str, image_size: int) -> FloatArray | None:
    file = run.head(model, image_size)
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return np.asarray(arrays["out_of_fold"], dtype=np.float64)
