"""Test-time flips: what the mean of a picture's answer and its mirror image's gains, for twice the time."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.errors import TunerError
from tuner.advice.line import Found, Line, Unknown, paired_gain
from tuner.advice.material import Material, losses_of
from tuner.runs.trial_table import trial_config
from tuner.statistics.calibration import mean_logits
from tuner.statistics.intervals import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.models.classifier import Classifier

__all__ = ["flips"]

KIND = "flips"

MOST_SECONDS = 6.0
"""Of computing, at most: on a slow machine fewer validation images are mirrored."""

MOST, FEWEST = 200, 30
"""Validation images that are mirrored, at most; and the fewest groups that say something."""

UNKNOWN_MILLISECONDS = 40.0


def flips(found: Material) -> list[Found]:
    """What flips gain the chosen trial on validation images, by its kept weights."""
    row = found.chosen
    if row is None or not found.run.weights(str(row["trial_id"])).exists():
        return [Unknown(KIND, "no weights of the chosen trial are kept, so nothing can be mirrored")]
    milliseconds = found.milliseconds(str(row["model"]))
    chosen = _validation(found, milliseconds or UNKNOWN_MILLISECONDS)
    groups = found.groups[chosen]
    if len(set(groups.tolist())) < FEWEST:
        count = len(set(groups.tolist()))
        reason = f"{count} {found.unit}s of validation are too few to say what answers to mirror images gain"
        return [Unknown(KIND, reason)]
    started = time.perf_counter()
    try:
        plain, mirrored = _answers(found, row, chosen)
    except (OSError, TunerError, ValueError) as error:
        return [Unknown(KIND, f"the chosen trial can't answer its validation images here: {error}")]
    took = 1e3 * (time.perf_counter() - started) / len(chosen) / 2
    labels = found.pool.numbers[chosen]
    both = mean_logits([plain, mirrored], [1, 1])
    now, then = (losses_of(logits, labels, groups) for logits in (plain, both))
    loss, accuracy = (paired_gain(a, b, groups) for a, b in zip(now, then, strict=True))
    why = f"the mean of both probabilities, by the weights of {row['trial_id']} on {len(chosen)} validation images"
    do = "average each answer with that to the mirror image"
    return [Line(KIND, do, why, loss, accuracy, {"milliseconds": milliseconds or took})]


def _validation(found: Material, milliseconds: float) -> npt.NDArray[np.int64]:
    """Places of the validation images that are mirrored, whole groups in an order of chance."""
    own = np.flatnonzero(np.asarray(found.pool.parts) == "val")
    fitting = int(min(MOST, max(FEWEST, MOST_SECONDS * 1e3 / (2 * milliseconds))))
    names = np.unique(found.groups[own])
    order = np.random.default_rng(int(found.record["seed"])).permutation(names)
    kept: list[int] = []
    for name in order:
        members = own[found.groups[own] == name].tolist()
        if kept and len(kept) + len(members) > fitting:
            break
        kept += members
    return np.sort(np.array(kept, dtype=np.int64))


def _answers(
    found: Material, row: dict[str, Any], places: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """The trial's logits [m, classes] of the images, as they are and mirrored."""
    import torch

    from trainables.inference import load_classifier, over_images
    from trainables.worker import as_worker
    from tuner.advice.features import compute_of, opened_cache

    classifier = load_classifier(
        trial_config(row), len(found.classes), found.run.weights(str(row["trial_id"]))
    )
    cache, compute = opened_cache(found.run, found.pool, found.reporter), compute_of(found.run)

    def both(network: "Classifier", images: "Tensor") -> "Tensor":
        answers: Tensor = torch.stack([network(images), network(images.flip(3))], 1).float()
        return answers

    rows = cache.rows([found.pool.paths[place] for place in places])
    with as_worker(torch.get_num_threads()):
        answers = over_images(classifier, both, cache, rows, found.image_size, compute.device)
    values = answers.double().numpy()
    return values[:, 0], values[:, 1]
