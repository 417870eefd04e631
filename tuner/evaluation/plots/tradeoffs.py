"""Picture of what finalists cost to run: test score against the time of an image, with the Pareto front."""

from typing import TYPE_CHECKING

from tuner.html.canvas import COLOURS, ink, lines
from tuner.html.escaping import for_picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from trainables.metrics import Metric
    from tuner.html.canvas import Drawing

NAMED = 8
"""Finalists on the front that are named."""


def front(table: "pd.DataFrame", metric: "Metric") -> "Drawing":
    """Size and drawing of the finalists: milliseconds an image on one thread, and the searched metric on test."""
    from matplotlib import ticker

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        scale = 1 if metric.minimised else 100
        times, scores = table["milliseconds"].to_numpy(), scale * table["test_value"].to_numpy()
        best = table["pareto"].to_numpy(dtype=bool)
        if not best.all():
            axes.scatter(
                times[~best], scores[~best], s=28, color=COLOURS[6], alpha=0.8, label="beaten in both"
            )
        order = times[best].argsort()
        axes.plot(times[best][order], scores[best][order], color=COLOURS[0], lw=1.2, drawstyle="steps-post")
        axes.scatter(times[best], scores[best], s=46, color=COLOURS[0], label="Pareto front")
        for place, (_, row) in enumerate(table[best].sort_values("milliseconds").head(NAMED).iterrows()):
            at = (row["milliseconds"], scale * row["test_value"])
            axes.annotate(
                for_picture(lines(row["label"], 34)),
                at,
                # Away from the line that joins the points.
                xytext=(6, 5 if place % 2 else -5),
                va="bottom" if place % 2 else "top",
                textcoords="offset points",
                fontsize=8,
                color=ink(),
            )
        axes.set_xscale("log")
        for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            which(ticker.FormatStrFormatter("%g"))
        axes.margins(0.12)
        axes.set_xlabel("ms an image, one thread of this machine")
        axes.set_ylabel(f"{metric.title} on the test images" + ("" if metric.minimised else ", %"))
        figure.legend(loc="outside lower center", ncols=2)

    return (7.0, 4.2), draw
