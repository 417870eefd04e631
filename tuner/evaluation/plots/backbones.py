"""Picture of a probe: the validation loss of every backbone, beside what it costs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.evaluation.comparison.names import short_models
from tuner.html.canvas import COLOURS, ink
from tuner.html.escaping import for_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tuner.html.canvas import Drawing

SHOWN = 30


def probed(document: Mapping[str, Any]) -> "Drawing":
    """Size and drawing of the backbones of a probe's `document`: log loss with its interval, milliseconds an image."""
    rows = document["backbones"][:SHOWN]
    advised = set(document["advised"])

    def draw(figure: "Figure") -> None:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        y = np.arange(len(rows))
        for place, row in enumerate(rows):
            colour = COLOURS[0] if row["model"] in advised else COLOURS[6]
            if row["low"] is not None:
                left.hlines(place, row["low"], row["high"], color=colour, lw=1.6)
            left.plot(row["log_loss"], place, "o", color=colour, ms=6)
            right.barh(place, row["milliseconds"], color=colour, height=0.6)
        left.axvline(rows[0]["log_loss"], color=ink(), lw=0.8, ls=":")
        short = short_models(row["model"] for row in rows)
        names = [for_picture(short[row["model"]]) for row in rows]
        left.set_yticks(y, names, fontsize=9)
        left.set_ylim(len(rows) - 0.5, -0.5)
        left.set_xlabel("log loss out of fold, nats")
        right.set_xlabel("ms an image")
        for axes in (left, right):
            axes.grid(axis="y", visible=False)

    return (7.6, 1.3 + 0.3 * len(rows)), draw
