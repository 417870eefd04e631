"""The pictures of a model folder: how the seeds learnt, and which classes are taken for which."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tuner.html.canvas import COLOURS, Names, fit, ink, paint, paper
from tuner.html.escaping import for_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tuner.retraining.seed_job import SeedResult

__all__ = ["draw"]


def draw(
    folder: Path, results: "Sequence[SeedResult]", metrics: Mapping[str, Any], classes: Sequence[str]
) -> None:
    """Write learning_curves.png and, if the model was tested, confusion_matrix.png and answered.png into `folder`.

    A single epoch makes no curve. Without any picture there is no folder.
    """
    if metrics["test"] is None and not _has_curves(results):
        return
    folder.mkdir()
    # It tells of every font face that it passes over.
    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        _draw(folder, results, metrics, classes)
    finally:
        fonts.setLevel(level)


def _draw(
    folder: Path, results: "Sequence[SeedResult]", metrics: Mapping[str, Any], classes: Sequence[str]
) -> None:
    if _has_curves(results):
        _paint(folder, "learning_curves", (8.0, 3.6), lambda figure: _curves(figure, results), ())
    if metrics["test"] is None:
        return
    _paint(folder, "answered", (5.6, 3.6), lambda figure: _answered(figure, metrics["answered"]), ())
    names = Names(classes)
    counts = np.array(metrics["test"]["exported"]["confusion"])
    side = 2.5 + 0.5 * min(len(classes), 16)
    _paint(
        folder,
        "confusion_matrix",
        (side + 1.0, side),
        lambda figure: _confusion(figure, counts, names.drawn),
        names.families,
    )


def _has_curves(results: "Sequence[SeedResult]") -> bool:
    return any(len(result.history) > 1 for result in results)


def _paint(
    folder: Path,
    name: str,
    size: tuple[float, float],
    fill: "Callable[[Figure], None]",
    families: Sequence[str],
) -> None:
    _, light, dark = paint(folder, name, size, fill, *([families] if families else []))
    light.unlink()
    dark.unlink()


def _curves(figure: "Figure", results: "Sequence[SeedResult]") -> None:
    left, right = figure.subplots(1, 2)
    for axes, quantity, title in ((left, "loss", "loss (nats)"), (right, "accuracy", "accuracy")):
        for number, result in enumerate(results):
            epochs = [row["epoch"] for row in result.history]
            for part, style in (("train", "-"), ("val", "--")):
                values = [row[f"{part}_{quantity}"] for row in result.history]
                if any(value != value for value in values):
                    continue
                label = {"train": "training", "val": "validation"}[part] if number == 0 else None
                colour = COLOURS[number % len(COLOURS)]
                axes.plot(epochs, values, style, color=colour, label=label, marker="o", markersize=3)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    left.legend(fontsize=8)
    figure.suptitle(f"seeds: {len(results)}, one colour each", fontsize=9)


def _answered(figure: "Figure", rows: Sequence[Mapping[str, float]]) -> None:
    """Accuracy of the test images that are answered, the more doubtful being left unsure from the right to the left."""
    axes = figure.subplots()
    told = [row for row in rows if row["accuracy"] is not None]
    share, accuracy = [row["answered"] for row in told], [row["accuracy"] for row in told]
    axes.plot(share, accuracy, "-o", color=COLOURS[0], markersize=4)
    for row in told:
        place = (row["answered"], row["accuracy"])
        axes.annotate(
            f"{row['min_confidence']:g}", place, textcoords="offset points", xytext=(4, 5), fontsize=8
        )
    axes.set_xlabel("share of the test images answered")
    axes.set_ylabel("accuracy on these")
    axes.set_title("at each point the confidence from which on an answer is given", fontsize=9)
    axes.margins(x=0.08, y=0.15)


def _confusion(figure: "Figure", counts: npt.NDArray[np.int64], names: Sequence[str]) -> None:
    """Rows are the true classes; shades are shares of a row, numbers are images."""
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    labels = [for_picture(fit(name, 24)) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"{counts.sum()} test images")
    for (i, j), count in np.ndenumerate(counts):
        if count and len(names) <= 20:
            colour = paper() if share[i, j] > 0.55 else ink()
            axes.text(j, i, str(int(count)), ha="center", va="center", color=colour, fontsize=9)
