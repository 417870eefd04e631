"""The second output of a model that is exported: how unlike the training images a picture is, and where its limits are.

The measure is fitted to what the stages of the exported network put out (of an ensemble its first member). Its limits
come from validation images that a network has not seen: those of the calibration model, whose own features are as
far from its own training images; of a model that held validation out, its own. Where there is neither they are the
exported model's features of images that it was trained on, which may lie too close: more pictures than 1 and 5 % are
then called strange.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from tuner.evaluation.report.uncertainty import percent
from tuner.html.escaping import for_markdown

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from trainables.models.classifier import Classifier
    from tuner.dataset.ood import StrangerScore
    from tuner.release.job import ModelPlan, Trained
    from tuner.retraining.seeds import SeedJob

__all__ = ["FoundStrangers", "find_strangers", "strangers_section"]

FEW = 100
"""Validation images below which the threshold at 99 % is hardly more than the strangest of them."""


@dataclass(frozen=True)
class FoundStrangers:
    """The module that is exported, the strangeness at 95 % of validation, and what metrics.json says."""

    score: "StrangerScore"
    at_95: float
    document: dict[str, Any]


def find_strangers(plan: "ModelPlan", trained: "Trained", weights: Path) -> FoundStrangers:
    """Fit the measure for the exported weights in the file `weights`; what it is, and how often it errs."""
    from tuner.dataset.ood import fit_measure, fit_strangers, strangeness

    member = plan.members[0]
    part = _parts_of(plan, member.job, weights, trained.means)
    train, labels = part("train")
    if plan.held_out:
        held_out, source = None, "validation images that the model was not trained on"
    elif trained.calibration is not None and member.calibration is not None:
        held_out = (member.calibration, Path(trained.calibration[0].weights[-1]))
        source = "validation images, by another model of the same seed, trained on the training images only"
    else:
        held_out, source = (
            None,
            "validation images that the model was trained on, which makes it call too much strange",
        )
    other = part if held_out is None else _parts_of(plan, *held_out)
    own = (train, labels) if held_out is None else other("train")
    found = fit_strangers(*own, *other("val"), plan.job.classes)
    score = found.score
    if held_out is not None:
        score = fit_measure(found.measure, train, labels)
        score.scale.copy_(found.score.scale)
    document: dict[str, Any] = {
        "measure": found.measure,
        "at_95": found.at_95,
        "thresholds_from": source,
        "validation_images": found.validation,
        "left_out_auroc": {name: dict(areas) for name, areas in found.left_out.items()},
        "false_alarms": None,
    }
    if plan.job.test_cache is not None and "test" not in plan.trained_parts:
        values = strangeness(score, part("test")[0]).numpy()
        document["false_alarms"] = {
            "test_images": len(values),
            "above_95": float((values > found.at_95).mean()),
            "above_99": float((values > 1).mean()),
        }
    return FoundStrangers(score, found.at_95, document)


def _strangers_sentence(found: dict[str, Any]) -> str:
    """How often the images of the test set are called strange, in words."""
    alarms = found["false_alarms"]
    if alarms is None:
        return "strangeness: 1 is the limit that 99 % of validation stay below; it was not checked on test images"
    often = percent(alarms["above_99"])
    first = f"strangeness: {often} of the test images are above 1, the limit of 99 % of validation"
    lower = f"{found['at_95']:.2f}"
    # Of few validation images both limits are the same one.
    return (
        first
        if lower == "1.00"
        else f"{first}; {percent(alarms['above_95'])} are above {lower}, the limit of 95 %"
    )


def strangers_section(found: dict[str, Any]) -> str:
    """What the card says: what the output means, and what it can't see."""
    own = found["left_out_auroc"][found["measure"]]
    # Few validation images can't tell the two limits apart.
    lower = "" if f"{found['at_95']:.2f}" == "1.00" else f", above {found['at_95']:.2f} 5 %"
    lines = [
        "- A class is named for every picture, also one of something else. The output `strangeness` says how unlike the"
        f" training images a picture is ({_MEASURES[found['measure']]}): above 1 are 1 % of pictures like those{lower},"
        f" by {found['validation_images']} {for_markdown(found['thresholds_from'])}.",
        f"- S{for_markdown(_strangers_sentence(found)[1:])}.",
    ]
    if found["validation_images"] < FEW:
        lines.append(f"- From {found['validation_images']} images the limit at 99 % is not known well.")
    lines.append(
        "- What it can't see: a picture whose features are like those of the training images. A class that was"
        " not trained, such as another disease of the same leaf, may look like them."
    )
    if own:
        areas = ", ".join(f"{for_markdown(name)} {area:.2f}" for name, area in own.items())
        lines.append(
            "- When the measure was fitted without a class, it told that class's images from the others with an area"
            f" under the curve of: {areas} (1 is always, 0.5 is chance). The network knew these classes, so a new one"
            " is harder."
        )
    return "\n".join(lines)


_MEASURES = {
    "nearest": "the distance to the 5th nearest of them, in what the stages of the network put out",
    "gaussian": "the Mahalanobis distance to the nearest class, in what the stages of the network put out",
}


def _parts_of(
    plan: "ModelPlan", job: "SeedJob", weights: Path, means: "Mapping[str, Tensor] | None" = None
) -> "Callable[[str], tuple[Tensor, npt.NDArray[np.int64]]]":
    """By part of the split, features and class numbers of a sample of its images, by a file of weights.

    `means` are features that exist already, by part.
    """
    from trainables.data.cache import ImageCache
    from trainables.inference import best_device, load_classifier
    from trainables.worker import as_worker
    from tuner.dataset.ood import compute_means, sampled

    @functools.cache
    def classifier() -> "Classifier":
        return load_classifier(job.config, len(job.classes), weights)

    def part(name: str) -> "tuple[Tensor, npt.NDArray[np.int64]]":
        own = plan.images.part(name)
        own = own.where(sampled(len(own)))
        paths, labels = own.paths, own.numbers
        if means is not None and name in means:
            return means[name], labels
        # The images that a network trains on and those that it is judged by lie in caches of their own.
        trained = ImageCache.open(plan.job.cache)
        cache = trained if set(paths) <= set(trained.paths) else ImageCache.open(str(plan.job.test_cache))
        with as_worker(job.num_threads):
            features = compute_means(classifier(), cache, cache.rows(paths), job.image_size, best_device())
        return features, labels

    return part
