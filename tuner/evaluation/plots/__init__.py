"""The pictures of a comparison: one file a kind, each drawing on a figure that `canvas` makes and saves."""

from tuner.evaluation.plots.album import draw_all
from tuner.html.canvas import Picture

__all__ = ["Picture", "draw_all"]
