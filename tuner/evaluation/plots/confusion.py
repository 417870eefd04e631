"""The chosen model's confusion matrix as shares: of the images of a class, how many are answered as which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.html.canvas import fit
from tuner.html.escaping import for_picture
from tuner.statistics.intervals import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tuner.html.canvas import Drawing

__all__ = ["shares", "shares_of"]

WRITTEN = 15
"""Up to so many classes the shares are written into the cells."""


def shares_of(labels: Sequence[int], named: Sequence[int], classes: int) -> FloatArray:
    """Shares [classes, classes] of the images of a true class (row) by the class that is named; rows sum to 1.

    A class without images has a row of zeros.

    >>> shares_of([0, 0, 1], [0, 1, 1], 2).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    counts = np.zeros((classes, classes))
    np.add.at(counts, (np.asarray(labels), np.asarray(named)), 1)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def shares(labels: Sequence[int], named: Sequence[int], names: Sequence[str]) -> "Drawing":
    """Size and drawing of the shares in percent, with the number of images of each class beside its name."""
    share = shares_of(labels, named, len(names))
    images = np.bincount(np.asarray(labels), minlength=len(names))
    ticks = [for_picture(fit(name, 24)) for name in names]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.tick_params(length=0, labelsize=9 if len(names) <= WRITTEN else 6)
        axes.set_xticks(range(len(names)), ticks, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(
            range(len(names)), [f"{tick} ({count})" for tick, count in zip(ticks, images, strict=True)]
        )
        axes.set_xlabel("answered")
        axes.set_ylabel("true class (images)")
        for (i, j), value in np.ndenumerate(share) if len(names) <= WRITTEN else ():
            if value:
                colour = "#ffffff" if value > 0.55 else "#1d1d1f"
                axes.text(j, i, f"{100 * value:.0f} %", ha="center", va="center", color=colour, fontsize=9)

    side = 2.2 + 0.55 * min(len(names), WRITTEN)
    return (side + 2.0, side), draw
