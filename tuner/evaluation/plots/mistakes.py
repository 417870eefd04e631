"""The most confident mistakes, as a picture and as thumbnails for the page."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.data.decode import quiet_decoding
from trainables.data.deep import scale_from
from tuner.html.canvas import fit_all
from tuner.html.escaping import for_picture
from tuner.html.thumbnails import thumbnail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tuner.evaluation.comparison.evidence import Evidence
    from tuner.html.canvas import Drawing

SHOWN = 12
SIDE = 160


@dataclass(frozen=True)
class Mistake:
    """A test image that the chosen model gets wrong; `jpeg` is a thumbnail, None if unreadable."""

    path: str
    true_class: int
    predicted: int
    confidence: float
    jpeg: bytes | None


def confident_mistakes(evidence: "Evidence", count: int = SHOWN) -> list[Mistake]:
    """The chosen finalist's wrong answers, the surest first."""
    best = evidence.finalists[0]
    probabilities = evidence.answers(best.key).probabilities
    predicted, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != evidence.labels)
    order = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    data = evidence.runs[0].record["data"]
    folder, scale = Path(str(data["folder"])), scale_from(data.get("scale"))
    with quiet_decoding():
        return [
            Mistake(
                path=evidence.paths[i],
                true_class=int(evidence.labels[i]),
                predicted=int(predicted[i]),
                confidence=float(sure[i]),
                jpeg=thumbnail(folder / evidence.paths[i], SIDE, scale=scale),
            )
            for i in order
        ]


def gallery(mistakes: Sequence[Mistake], names: Sequence[str]) -> "Drawing":
    """Size and drawing of `mistakes` with what they are, what they were taken for, and how surely."""
    lines, shown = -(-len(mistakes) // 4), fit_all(names, 18)

    def draw(figure: "Figure") -> None:
        from PIL import Image

        grid = figure.subplots(lines, 4, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, one in zip(grid.flat, mistakes, strict=False):
            if one.jpeg is None:
                axes.text(0.5, 0.5, "image not found", ha="center", transform=axes.transAxes, fontsize=9)
            else:
                axes.imshow(np.asarray(Image.open(io.BytesIO(one.jpeg))))
            real, said = shown[one.true_class], shown[one.predicted]
            text = f"is {real}\ntaken for {said}\nat {100 * one.confidence:.0f} %"
            axes.set_title(for_picture(text), fontsize=8, loc="left")

    return (7.2, 2.35 * lines), draw
