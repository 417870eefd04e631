"""Test images with what the chosen model answers beside what they are: right, wrong, unsure."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.data.decode import quiet_decoding
from trainables.data.deep import scale_from
from tuner.html.canvas import COLOURS, fit
from tuner.html.escaping import for_picture
from tuner.html.thumbnails import thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tuner.evaluation.comparison.evidence import Evidence
    from tuner.html.canvas import Drawing
    from tuner.statistics.intervals import FloatArray

__all__ = ["Answer", "answers_sheet", "chosen_answers"]

EACH = 6
SIDE = 90

SURE = 0.8
"""The confidence from which an answer is not called unsure."""


@dataclass(frozen=True)
class Answer:
    """A test image: its class, the class that is named and how surely; `place` is its number among them.

    `kind` is right, wrong or unsure.
    """

    place: int
    kind: str
    true_class: int
    named: int
    confidence: float


def chosen_answers(probabilities: "FloatArray", labels: Sequence[int], seed: int = 0) -> list[Answer]:
    """Six right answers drawn with `seed`, the six surest wrong ones, and six of the least sure; no image twice.

    `probabilities` are [n, classes], `labels` class numbers [n]. An answer of `SURE` or more is not unsure.
    """
    truth = np.asarray(labels)
    named, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    drawn = np.random.default_rng(seed).permutation(len(truth))
    right = [place for place in drawn if named[place] == truth[place]]
    wrong = sorted(np.flatnonzero(named != truth), key=lambda place: -sure[place])
    unsure = sorted(np.flatnonzero(sure < SURE), key=lambda place: sure[place])
    found: list[Answer] = []
    taken: set[int] = set()
    for kind, places in (("wrong", wrong), ("unsure", unsure), ("right", right)):
        own = [int(place) for place in places if int(place) not in taken][:EACH]
        taken.update(own)
        found += [
            Answer(place, kind, int(truth[place]), int(named[place]), float(sure[place])) for place in own
        ]
    return sorted(found, key=lambda one: ("right", "wrong", "unsure").index(one.kind))


def answers_sheet(evidence: "Evidence", names: Sequence[str], seed: int = 0) -> "Drawing | None":
    """Size and drawing of the chosen finalist's answers; None where no image is there. `names` are as drawn."""
    best = evidence.finalists[0]
    chosen = chosen_answers(evidence.answers(best.key).probabilities, evidence.labels.tolist(), seed)
    data = evidence.runs[0].record["data"]
    folder, scale = Path(str(data["folder"])), scale_from(data.get("scale"))
    with quiet_decoding():
        jpegs = [thumbnail(folder / evidence.paths[one.place], SIDE, scale=scale) for one in chosen]
    if not any(jpegs):
        return None
    kinds = [kind for kind in ("right", "wrong", "unsure") if any(one.kind == kind for one in chosen)]

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(len(kinds), EACH, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for row, kind in zip(grid, kinds, strict=True):
            own = [(one, jpeg) for one, jpeg in zip(chosen, jpegs, strict=True) if one.kind == kind]
            row[0].set_ylabel(kind, fontsize=9)
            for axes, (one, jpeg) in zip(row, own, strict=False):
                _show(axes, one, jpeg, names)

    return (7.2, 1.75 * len(kinds)), draw


def _show(axes: "Axes", one: Answer, jpeg: bytes | None, names: Sequence[str]) -> None:
    """One image under its class, and what is answered; a frame says whether that is right."""
    from PIL import Image

    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    if jpeg is None:
        axes.text(0.5, 0.5, "image not found", ha="center", transform=axes.transAxes, fontsize=7)
        return
    axes.imshow(np.asarray(Image.open(io.BytesIO(jpeg))), interpolation="none")
    colour = COLOURS[2] if one.named == one.true_class else COLOURS[4]
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=2.5, color=colour)
    text = f"is {fit(names[one.true_class], 14)}\n{fit(names[one.named], 14)}, {100 * one.confidence:.0f} %"
    axes.set_title(for_picture(text), fontsize=7, loc="left")
