"""How long the trainings after a search take, by the epochs that its trials measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trainables.data.parallel import num_workers
from tuner.probing.sizes import EFFICIENCY
from tuner.runs.directory import Run
from tuner.tuning.prior import PROBE

__all__ = [
    "MOST",
    "final_seconds",
    "folds_seconds",
    "more_on_all",
    "on_all_images",
    "training_seconds",
]

MOST = 3
"""Trials that go on to the second fold."""


def final_seconds(rows: Sequence[Mapping[str, Any]], run: Run) -> float:
    """How long the dearest of the best `MOST` trials of `rows` trains on all images, by the epochs that it measured.

    It trains alone, on a processor with all its cores.
    """
    each = [training_seconds(row) for row in rows if row["source"] != PROBE]
    return max(each[:MOST], default=0.0) * on_all_images(run)


def on_all_images(run: Run) -> float:
    """How long a training on all images takes, in times of one of a trial of `run`."""
    parts, record = run.images_and_parts(), run.record
    cores = float(record["settings"].get("cpus_per_trial") or 1.0)
    return more_on_all(len(parts), parts.count("train"), gpus=bool(record["hardware"]["gpus"]), cores=cores)


def more_on_all(images: int, training: int, *, gpus: bool, cores: float) -> float:
    """How long a training on all `images` takes, in times of a trial's on `training` of them with so many `cores`."""
    more = images / max(1, training)
    return more if gpus else more * min(1.0, cores / num_workers(None) / EFFICIENCY)


def folds_seconds(rows: Sequence[Mapping[str, Any]], count: int, slots: int) -> tuple[float, float]:
    """How long the next folds take of the best trial of `rows` alone, as many as train at once, and all of the best.

    All other folds of the best `MOST` trials are what time allows at most; 0 without trials.
    """
    each = [training_seconds(row) for row in rows if row["source"] != PROBE][:MOST]
    if not each:
        return 0.0, 0.0
    turns = math.ceil((count - 1) / max(1, slots))
    return each[0], max(each[0] * turns, sum(each) * (count - 1) / max(1, slots))


def training_seconds(row: Mapping[str, Any]) -> float:
    """How long the trial of `row` trained until its best epoch."""
    return int(row["best_epoch"]) * float(row["seconds"]) / int(row["epochs"])
