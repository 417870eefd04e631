"""Rows of small pictures as one picture, which is quicker to draw and smaller than one set of axes for each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.data.decode import Pixels
from tuner.html.canvas import columns
from tuner.html.escaping import for_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tuner.html.canvas import Drawing

__all__ = ["mosaic", "tiled"]

SIDE = 72
GAP = 6
PIXELS_PER_INCH = 72.0
INCHES_A_LETTER = 0.075
HEAD = 0.35
"""Inches for the words above."""


def mosaic(tiles: Sequence[Sequence[Pixels]], heads: Sequence[str], sides: Sequence[str]) -> "Drawing":
    """Size and drawing of rows of square pictures, `heads` above the columns and `sides` before the rows.

    Each picture is uint8 [s, s, 3]; all rows are of one length.
    """
    whole = tiled(tiles)
    step = SIDE + GAP
    height, width = (extent / PIXELS_PER_INCH for extent in whole.shape[:2])
    left = 0.3 + INCHES_A_LETTER * max(columns(line) for side in sides for line in side.split("\n"))
    size = (left + width + 0.1, HEAD + height + 0.1)

    def draw(figure: "Figure") -> None:
        # By hand: the layout engine leaves too little room for long names beside pictures of a fixed shape.
        figure.set_layout_engine("none")
        axes = figure.add_axes((left / size[0], 0.1 / size[1], width / size[0], height / size[1]))
        axes.imshow(whole, interpolation="none")
        axes.set_xticks(
            [SIDE / 2 + step * place for place in range(len(heads))], [for_picture(head) for head in heads]
        )
        axes.set_yticks(
            [SIDE / 2 + step * place for place in range(len(sides))], [for_picture(side) for side in sides]
        )
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=8)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)

    return size, draw


def tiled(tiles: Sequence[Sequence[Pixels]]) -> npt.NDArray[np.uint8]:
    """The pictures beside and below each other, RGBA uint8 [h, w, 4], the gaps between them transparent."""
    from PIL import Image

    step = SIDE + GAP
    out = np.zeros((step * len(tiles) - GAP, step * len(tiles[0]) - GAP, 4), np.uint8)
    for row, pictures in enumerate(tiles):
        for column, pixels in enumerate(pictures):
            small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            top, left = row * step, column * step
            out[top : top + SIDE, left : left + SIDE, :3] = np.asarray(small)
            out[top : top + SIDE, left : left + SIDE, 3] = 255
    return out
