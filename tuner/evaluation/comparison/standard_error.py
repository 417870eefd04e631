"""How sure the validation score of a kept trial is: its images' answers, whole groups being what varies."""

from pathlib import Path

import numpy as np

from trainables.config import TrialConfig
from trainables.errors import UserMistake
from trainables.metrics import METRICS, Answers
from tuner.runs.directory import Run, fit_of
from tuner.runs.hardware import usable_cores
from tuner.statistics.intervals import FloatArray
from tuner.statistics.metric_errors import standard_error

__all__ = ["validation_error"]


def validation_error(run: Run, trial_id: str, config: TrialConfig, metric: str) -> tuple[float, str] | None:
    """The standard error of `metric` on the validation images, and what it is of.

    None if the trial's weights were not kept, its images are gone, or all are of one group.
    """
    record = run.record
    val = run.images_and_parts().part("val")
    if not run.weights(trial_id).exists():
        return None
    try:
        logits = _logits(run, trial_id, config, list(val.paths))
    except UserMistake:
        return None
    positive = record.get("positive")
    answers = Answers(val.numbers, logits, None if positive is None else val.classes.index(positive))
    error = standard_error(METRICS[metric], answers, np.array(val.groups, dtype=str))
    if error != error:
        return None
    unit = "groups" if val.grouped else "images"
    return error, f"standard error over {len(set(val.groups))} validation {unit}"


def _logits(run: Run, trial_id: str, config: TrialConfig, paths: list[str]) -> FloatArray:
    from trainables.inference import score_images

    record, hashes = run.record, run.images()
    return score_images(
        config,
        [str(name) for name in record["data"]["classes"]],
        run.weights(trial_id),
        Path(record["data"]["folder"]),
        [(path, hashes[path]) for path in paths],
        int(record["image_size"]),
        str(record["precision"]),
        usable_cores(),
        fit_of(record),
    )
