"""The pictures of a comparison that show images: what the model answers, where it looked, what it was trained on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.data.deep import scale_from
from trainables.strategies import is_linear_probe
from tuner.evaluation.plots.answers import answers_sheet
from tuner.evaluation.plots.augmented import one_policy, some_of_each
from tuner.evaluation.plots.confusion import shares
from tuner.evaluation.plots.heat import heat_maps
from tuner.runs.directory import fit_of

if TYPE_CHECKING:
    from tuner.evaluation.comparison.evidence import Evidence
    from tuner.evaluation.plots.mistakes import Mistake
    from tuner.html.canvas import Drawing, Names

__all__ = ["add_images"]

Add = Callable[[str, str, str, str, "Drawing"], None]
"""Takes name, group, title, caption and drawing of a picture."""


def add_images(
    add: Add, evidence: "Evidence", mistakes: "Sequence[Mistake]", names: "Names", seed: int = 0
) -> None:
    """Add the pictures that can be made: those of images need the images, heat maps need grad-cam and the weights."""
    best = evidence.finalists[0]
    caption = (
        "Test images under the chosen model: right ones drawn at random, wrong ones the surest first, unsure ones the"
        " least sure first. Above each stands its class, then the answer and how sure it is; the frame is green where"
        " the answer is right."
    )
    if sheet := answers_sheet(evidence, names.drawn, seed):
        add("answers", "scores", "Answers beside labels", caption, sheet)
    caption = (
        "The chosen model: of the test images of a class (rows) the share that is answered as each class."
    )
    named = evidence.logits[best.key].argmax(axis=1).tolist()
    drawn = shares(evidence.labels.tolist(), named, names.drawn)
    add("confusion-shares", "scores", "Confusion matrix in shares", caption, drawn)
    caption = (
        "Grad-CAM: red places spoke most for the class. Where they lie beside the object, the model looks at something"
        " else, such as the background. A picture that is blue all over has no place that spoke for the class."
    )
    if maps := heat_maps(evidence, mistakes, names.drawn):
        add("heat-maps", "scores", "Where the chosen model looked when it was wrong", caption, maps)
    # A solved head saw no image that was varied at random.
    solved = is_linear_probe(best.config.strategy)
    if not solved and (sheet := _augmented(evidence, names, seed)):
        caption = f"Training images as the augmentation {best.config.augmentation!r} of the chosen model varies them."
        add("augmentation", "search", "What the augmentation makes of the images", caption, sheet)


def _augmented(evidence: "Evidence", names: "Names", seed: int) -> "Drawing | None":
    run, drawn = evidence.runs[0], dict(zip(evidence.classes, names.drawn, strict=True))
    data, split = run.record["data"], run.split()
    training = split[split["split"] == "train"]
    return one_policy(
        Path(str(data["folder"])),
        some_of_each(training["path"].tolist(), [drawn[label] for label in training["label"]], seed),
        int(run.record["image_size"]),
        evidence.finalists[0].config.augmentation,
        scale=scale_from(data.get("scale")),
        fit=fit_of(run.record),
        seed=int(run.record["seed"]),
    )
