"""How sure the validation score of a kept trial is: its images' answers, whole groups drawn again."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.config import TrialConfig
from trainables.errors import UserMistake
from tuner.evaluation.statistics import FloatArray, group_bootstrap
from tuner.runs.directory import Run
from tuner.runs.hardware import usable_cores

__all__ = ["bootstrap_standard_error", "standard_errors"]

IntArray = npt.NDArray[np.int64]


def bootstrap_standard_error(
    run: Run, trial_id: str, config: TrialConfig, metric: str
) -> tuple[float, str] | None:
    """The standard error of `metric` on the validation images, and what it is of.

    None if the trial's weights were not kept, its images are gone, or the metric is none of those of an answer alone.
    """
    record = run.record
    classes = [str(name) for name in record["data"]["classes"]]
    split = run.split()
    val = split[split["split"] == "val"]
    if not run.weights(trial_id).exists():
        return None
    try:
        logits = _logits(run, trial_id, config, val["path"].tolist())
    except UserMistake:
        return None
    labels = np.array([classes.index(label) for label in val["label"]], dtype=np.int64)
    error = standard_errors(labels, logits, val["group"].tolist()).get(metric)
    if error is None:
        return None
    unit = "groups" if val["group"].duplicated().any() else "images"
    return error, f"standard error over {val['group'].nunique()} validation {unit}, bootstrap"


def standard_errors(labels: IntArray, logits: FloatArray, groups: list[str]) -> dict[str, float]:
    """Bootstrap standard error by metric of `logits` [n, classes] for the class numbers `labels` [n].

    Whole `groups` [n] are drawn again, within their classes unless a class has one only.
    """
    classes, count = logits.shape[1], len(labels)
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(count), labels]
    kinds = np.eye(classes)
    real, named = kinds[labels], kinds[logits.argmax(axis=1)]
    rows = np.concatenate([real * named, real, named, losses[:, None]], axis=1)
    sums = np.zeros((len(first), rows.shape[1]))
    np.add.at(sums, codes, rows)
    # A class with one group has no spread of its own; drawn with the others it has some.
    alone = np.bincount(labels[first], minlength=classes) == 1
    errors = group_bootstrap(sums, _metrics, strata=None if alone.any() else labels[first])
    names = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1")
    return dict(zip(names, map(float, errors), strict=True))


def _metrics(totals: FloatArray) -> FloatArray:
    """Loss, accuracy, balanced accuracy and macro-F1 of `totals` [..., 3 x classes + 1]."""
    hits, real, named = np.split(totals[..., :-1], 3, axis=-1)
    images = real.sum(axis=-1)
    present = real > 0
    number = present.sum(axis=-1)
    recall = (hits / np.where(present, real, 1)).sum(axis=-1) / number
    f1 = (2 * hits / np.where(present, real + named, 1) * present).sum(axis=-1) / number
    return np.stack([totals[..., -1] / images, hits.sum(axis=-1) / images, recall, f1], axis=-1)


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
    )
