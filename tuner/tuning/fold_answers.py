"""Which fold an image is in, and what trials answered out of fold: a file a trial in `out_of_fold/` of the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.data.split import Split
from tuner.runs.directory import Run, write_atomically
from tuner.statistics.groups import grouped_folds
from tuner.tuning.candidates import Floats
from tuner.tuning.prior import PROBE

__all__ = ["FOLDS", "answerable", "fold_numbers", "keep_answers", "out_of_fold"]

FOLDS = 5
"""The validation images and four parts of the training images, where nobody says how many."""


def fold_numbers(pool: Split, seed: int, count: int = FOLDS) -> npt.NDArray[np.int64]:
    """The fold [n] of each image: 0 is validation, 1 to `count` - 1 are whole groups of training.

    -1 for images that no model could answer without having seen their group: the only group of their class.
    """
    training = np.asarray([part == "train" for part in pool.parts], dtype=np.bool_)
    found = np.zeros(len(pool), dtype=np.int64)
    own = pool.where(training)
    parts = grouped_folds(own.numbers, own.groups, seed, count - 1)
    found[training] = np.where(parts < 0, -1, parts + 1)
    return found


def answerable(pool: Split) -> npt.NDArray[np.bool_]:
    """The images [n] that a trial with an answer to every fold and a solved head can both answer.

    Neither has an answer to the only group of a class, and they don't share what they train on: validation images
    train no trial, but a head that answers others.
    """
    heads = grouped_folds(pool.numbers, pool.groups, 0)
    return np.asarray((fold_numbers(pool, 0) >= 0) & (heads >= 0), dtype=np.bool_)


def out_of_fold(run: Run, row: Mapping[str, Any]) -> Floats | None:
    """The logits [n, classes] of the trial of `row` for the training and validation images, in the order of the split.

    They are by models that have not seen the image's group, NaN where there are none. None where nobody answered.
    """
    if row["source"] == PROBE:
        return _of_probe(run, str(row["model"]), int(run.record["image_size"]))
    file = _file(run, row)
    return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64) if file.exists() else None


def _of_probe(run: Run, model: str, image_size: int) -> Floats | None:
    """The answers out of fold by heads that the probe solved."""
    file = run.head(model, image_size)
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return np.asarray(arrays["out_of_fold"], dtype=np.float64)


def _file(run: Run, row: Mapping[str, Any]) -> Path:
    """Where the answers of a trial are kept; a trial that went on and got better answers anew."""
    return run.path / "out_of_fold" / f"{row['trial_id']}.{int(row['best_epoch'])}.npy"


def keep_answers(run: Run, row: Mapping[str, Any], logits: Floats) -> None:
    """Write the `logits` [n, classes] of the trial of `row`, as `out_of_fold` returns them."""
    file = _file(run, row)
    file.parent.mkdir(exist_ok=True)

    def write(path: Path) -> None:
        with path.open("wb") as opened:
            np.save(opened, logits)

    write_atomically(file, write)
