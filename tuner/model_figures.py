"""The pictures of a model folder: how the seeds learnt, and which classes are taken for which."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.plots.canvas import COLOURS, Names, paint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tuner.seeds import SeedResult

__all__ = ["draw"]


def draw(
    folder: Path, results: "Sequence[SeedResult]", metrics: Mapping[str, Any], classes: Sequence[str]
) -> None:
    """Write learning_curves.png and, if the model was tested, confusion_matrix.png into `folder`."""
    folder.mkdir()
    _paint(folder, "learning_curves", (8.0, 3.6), lambda figure: _curves(figure, results), ())
    if metrics["test"] is None:
        return
    import pandas as pd

    from tuner.plots.scores import confusions

    names = Names(classes)
    exported = metrics["test"]["exported"]
    row = {"label": metrics["model"], "test_accuracy": exported["accuracy"]}
    table = pd.DataFrame([{**row, "confusion": json.dumps(exported["confusion"])}])
    size, fill = confusions(table, names.drawn)
    _paint(folder, "confusion_matrix", size, fill, names.families)


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
    figure.suptitle(f"{len(results)} seeds, one colour each", fontsize=9)
