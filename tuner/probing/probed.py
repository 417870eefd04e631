"""What a linear probe of one backbone found, and its files: a line of JSON, and the arrays of the heads beside it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.errors import is_disk_full

__all__ = ["Floats", "Probed", "Solved", "keep", "ms", "read_kept", "read_solved", "save_solved"]

Floats = npt.NDArray[np.float32]


BACKWARD = 2.5
"""A training step takes about this much more than the forward pass, where that alone was timed."""


@dataclass(frozen=True)
class Solved:
    """The heads of a backbone and what they answer, in float32; rows are in the order of `ProbeImages`.

    `out_of_fold` [n, classes] are logits by heads that have not seen the image's group, NaN for images that no fold
    holds out. The layer `weights` [classes, d], `biases` [classes] is solved on all n images; that of the names
    `train_weights`, `train_biases` on the training images alone, and `validation` [validation images, classes] is what
    it answers the others; its own loss in nats and its accuracy on the training images are
    `train_scores` [2]. All have the penalty that `out_of_fold` was best at.

    `train_means` and `validation_means` [k, m] are what the stages put out for a sample of each part, see
    `NotedMeans`; empty where they were not noted.
    """

    out_of_fold: Floats
    weights: Floats
    biases: Floats
    train_weights: Floats
    train_biases: Floats
    validation: Floats
    train_scores: Floats
    train_means: Floats
    validation_means: Floats


@dataclass(frozen=True)
class Probed:
    """What a linear probe on one backbone showed.

    `log_loss`, in nats per image, and the accuracies are of the training and validation images, each answered out of
    fold; `low` and `high` hold the loss with 95 % confidence, whole groups being what varies. `milliseconds` are those
    of one image on one thread of this machine's processor, the backbone alone, at `image_size`; `gpu_milliseconds`
    those of one image in a batch of GPU_BATCH on the GPU, None without one (run on an NVIDIA H200), and
    `step_milliseconds` those of one in a training step of CPU_BATCH images on the thread, None with a GPU. `seconds` is
    what the probe took. `losses` [n] are those of the single images that a fold holds out, in the order of the split.
    With 2 `views` the heads were solved on the mirror image of each image as well.
    """

    model: str
    family: str | None
    licence: str | None
    parameters: int
    megabytes: float
    features: int
    milliseconds: float
    gpu_milliseconds: float | None
    l2: float
    log_loss: float
    low: float | None
    high: float | None
    accuracy: float
    balanced_accuracy: float
    seconds: float
    losses: tuple[float, ...]
    image_size: int = 0
    views: int = 1
    step_milliseconds: float | None = None
    solved: Solved | None = field(default=None, compare=False, repr=False)

    def row(self) -> dict[str, Any]:
        """The fields in plain values, without the single losses and the heads."""
        return {
            one.name: getattr(self, one.name)
            for one in dataclasses.fields(self)
            if one.name not in ("losses", "solved")
        }


def trial_milliseconds(row: Mapping[str, Any]) -> float:
    """Milliseconds of an image in a trial's training, of what `Probed.row` or `probe.json` says of a backbone.

    >>> trial_milliseconds({"milliseconds": 12.0, "gpu_milliseconds": None, "step_milliseconds": 8.0})
    8.0
    """
    forward = row.get("gpu_milliseconds") or row["milliseconds"]
    return float(row.get("step_milliseconds") or (1 + BACKWARD) * forward)


def ms(on_processor: float, on_gpu: float | None) -> str:
    """The time of an image for a table: on a processor's thread, and on the GPU where there is one.

    >>> ms(12.34, None), ms(12.34, 0.217)
    ('12.3', '12.3, GPU 0.22')
    """
    return f"{on_processor:.1f}" + ("" if on_gpu is None else f", GPU {on_gpu:.2f}")


def read_kept(file: Path) -> Probed:
    """What `keep` wrote to `file`; raises OSError, ValueError, TypeError, KeyError or BadZipFile if it is damaged."""
    kept = json.loads(file.read_text(encoding="utf-8"))
    solved = read_solved(file.with_suffix(".npz"))
    return Probed(**{**kept, "losses": tuple(kept["losses"]), "solved": solved})


def keep(file: Path, row: Probed) -> None:
    """Write `row` for the next probe; a disk without room costs that one time, and nothing else."""
    from tuner.runs.directory import write_atomically

    text = json.dumps({**row.row(), "losses": row.losses})
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file.with_suffix(".npz"), lambda path: save_solved(path, row))
        write_atomically(file, lambda path: path.write_text(text, encoding="utf-8"))
    except OSError as error:
        if not is_disk_full(error):
            raise


def read_solved(file: Path) -> Solved:
    """The arrays that `save_solved` wrote; raises what a file that is missing or torn makes `numpy.load` raise."""
    with np.load(file, allow_pickle=False) as arrays:
        return Solved(**{one.name: arrays[one.name] for one in dataclasses.fields(Solved)})


def save_solved(path: Path, row: Probed) -> None:
    """Write the arrays of what `row` solved to `path`."""
    with path.open("wb") as file:
        np.savez(file, **vars(row.solved))
