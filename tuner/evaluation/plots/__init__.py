"""The pictures of a comparison: one file a kind, each drawing on a figure that `tuner.html.canvas` makes and saves.

`report` and the command line import it. A new picture is a function of a file here, which returns a size and a drawing,
and a line in `album`.
"""

from tuner.evaluation.plots.album import draw_all
from tuner.html.canvas import Picture

__all__ = ["Picture", "draw_all"]
