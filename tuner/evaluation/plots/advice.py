"""Picture of advice: what each line is expected to gain in log loss, with its interval."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from tuner.html.canvas import COLOURS, fit_all, ink
from tuner.html.escaping import for_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tuner.advice.advise import Advice
    from tuner.html.canvas import Drawing

__all__ = ["gains"]

SHOWN = 14
WIDTH = 46
"""Columns of a line's words, of which it has at most two lines."""


def gains(found: "Advice") -> "Drawing | None":
    """Size and drawing of the lines that have a gain; None where none has."""
    shown = [line for line in found.lines if line.log_loss is not None][:SHOWN]
    if not shown:
        return None
    words = [textwrap.fill(text, WIDTH) for text in fit_all([one.do for one in shown], 2 * WIDTH - 8)]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        places = np.arange(len(shown))
        for place, line in enumerate(shown):
            gain = line.log_loss
            if gain is None:
                continue
            # Blue: a gain that is not chance.
            colour = COLOURS[0] if gain.low > 0 else COLOURS[6]
            axes.hlines(place, gain.low, gain.high, color=colour, lw=1.8)
            axes.plot(gain.mean, place, "o", color=colour, ms=6)
        axes.axvline(0.0, color=ink(), lw=0.8)
        axes.set_yticks(places, [for_picture(text) for text in words], fontsize=9)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel("log loss falls by, nats")
        axes.grid(axis="y", visible=False)

    return (8.2, 1.1 + 0.2 * len(shown) + 0.16 * sum(text.count("\n") + 1 for text in words)), draw
