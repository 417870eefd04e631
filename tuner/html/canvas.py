"""What all pictures share: colours, fonts that have the glyphs, labels that fit, and files."""

import unicodedata
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.html.escaping import visible
from tuner.runs.directory import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Drawing = tuple[tuple[float, float], Callable[[Figure], None]]
    """Size in inches, and what fills a figure of that size."""

__all__ = [
    "COLOURS",
    "MARKERS",
    "Names",
    "Picture",
    "fit",
    "fit_all",
    "ink",
    "is_dark",
    "lines",
    "paint",
    "paper",
    "shared_beginning",
]

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c8c8c")
"""Seven that colour-blind people tell apart; Okabe and Ito 2008, black and yellow left out for dark paper."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_INKS = {"light": ("#fffffe", "#1d1d20", "#d9d9df"), "dark": ("#17181c", "#e8e8ea", "#3c3e46")}
"""Paper, text and grid. No drawing has those of the light paper otherwise, as its white is #ffffff: so they can be
told from its own colours in a file and replaced by those of the dark one."""

_FAMILIES = ("DejaVu Sans",)

PACKED = {"compress_level": 2}
"""How hard PNG files are packed: Pillow's own 6 took 2.5 times as long on a report's pictures."""

_asked: set[str] = set()
"""What the present drawing has asked of its paper."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure: its files, and words for those who can't see it. `group` is its section of the page."""

    name: str
    group: str
    title: str
    caption: str
    png: Path
    light: Path
    dark: Path


class Names:
    """Class names as they can be drawn here in a line, without the beginning that all share, as `Potato___`.

    A name without a font becomes its number; `key` says which. `fit` them, then `for_picture`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Find fonts for `names`."""
        shown = [visible(name) for name in names]
        self.families, missing = _fonts_for("".join(shown))
        self.shared = shared_beginning(shown)
        self.drawn = tuple(
            f"class {number}" if set(name) & missing else name[len(self.shared) :]
            for number, name in enumerate(shown, start=1)
        )
        self.key: Mapping[str, str] = {
            drawn: name for drawn, name in zip(self.drawn, shown, strict=True) if set(name) & missing
        }


def fit(text: str, width: int) -> str:
    """`text` in at most `width` columns, its middle left out if need be; a wide letter takes two."""
    if columns(text) <= width:
        return text
    head, tail = (width - 1) - (width - 1) // 2, (width - 1) // 2
    start, end = "", ""
    for letter in text:
        if columns(start + letter) > head:
            break
        start += letter
    for letter in reversed(text):
        if columns(letter + end) > tail:
            break
        end = letter + end
    return f"{start}…{end}"


def fit_all(texts: Sequence[str], width: int) -> list[str]:
    """`texts` in about `width` columns each, and in as many more as it takes that no two different ones look the same.

    >>> fit_all(["feature_extractor_a", "feature_extractor_b"], 9), fit_all(["layer.2.bias", "layer.3.bias"], 9)
    (['feat…or_a', 'feat…or_b'], ['layer.2.bias', 'layer.3.bias'])
    """
    different, longest = len(set(texts)), max(map(columns, texts), default=0)
    for columns_now in range(width, max(width, longest) + 1):
        found = [fit(text, columns_now) for text in texts]
        if len(set(found)) == different:
            return found
    return list(texts)


def lines(text: str, width: int) -> str:
    """`text` in lines of `width` columns, broken between its parts; a single part that is longer keeps its length.

    >>> print(lines("lite0 · probe then full · smoothed", 20))
    lite0 ·
    probe then full ·
    smoothed
    """
    found: list[str] = []
    for part in text.split(" · "):
        if found and columns(f"{found[-1]} · {part}") <= width:
            found[-1] = f"{found[-1]} · {part}"
        else:
            found.append(part)
    return " ·\n".join(found)


def columns(text: str) -> int:
    """How many columns `text` takes, East Asian letters counting two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def paint(
    folder: Path,
    name: str,
    size: tuple[float, float],
    draw: "Callable[[Figure], object]",
    families: Sequence[str] = _FAMILIES,
) -> tuple[Path, Path, Path]:
    """Let `draw` fill a figure of `size` inches, on light and on dark paper; files PNG, SVG and dark SVG.

    What asks whether the paper `is_dark` is drawn on each; the others are drawn once and get the dark paper's colours.
    """
    png, light, dark = (folder / f"{name}{ending}" for ending in (".png", ".svg", "-dark.svg"))
    _asked.clear()
    _save("light", size, draw, families, (png, light))
    if _asked:
        _save("dark", size, draw, families, (dark,))
    else:
        text = light.read_text(encoding="utf-8")
        for one, other in zip(_INKS["light"], _INKS["dark"], strict=True):
            text = text.replace(one, other)
        write_atomically(dark, lambda path: path.write_text(text, encoding="utf-8"))
    return png, light, dark


def _save(
    theme: str,
    size: tuple[float, float],
    draw: "Callable[[Figure], object]",
    families: Sequence[str],
    files: Sequence[Path],
) -> None:
    """Draw a figure once on the paper of `theme` and write it to `files`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_style(theme, families)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        for file in files:
            kind = file.suffix[1:]
            # Without a date two drawings of one comparison are the same file.
            more = {"metadata": {"Date": None}} if kind == "svg" else {"pil_kwargs": PACKED}
            write_atomically(file, partial(figure.savefig, format=kind, **more))
            # The second file of a figure keeps the places that were found for the first; finding them again takes
            # longer than drawing.
            figure.set_layout_engine("none")


def ink() -> str:
    """The colour of text on the present paper."""
    import matplotlib as mpl

    return str(mpl.rcParams["text.color"])


def paper() -> str:
    """The colour of the present paper."""
    import matplotlib as mpl

    return str(mpl.rcParams["axes.facecolor"])


def is_dark() -> bool:
    """Whether the present paper is dark."""
    _asked.add("is dark")
    return paper() == _INKS["dark"][0]


def _style(theme: str, families: Sequence[str]) -> dict[Any, Any]:
    paper, ink, grid = _INKS[theme]
    return {
        "figure.facecolor": paper,
        "axes.facecolor": paper,
        "savefig.facecolor": paper,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "axes.edgecolor": grid,
        "xtick.color": ink,
        "ytick.color": ink,
        "grid.color": grid,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "font.size": 10,
        "font.family": list(families),
        "legend.frameon": False,
        "savefig.dpi": 150,
        "svg.fonttype": "path",
        "svg.hashsalt": "tuner",
        "axes.unicode_minus": False,
        "legend.fontsize": 9,
    }


def shared_beginning(names: Sequence[str]) -> str:
    """What all `names` begin with, up to a sign between words; empty if that would leave nothing of one."""
    shared = min(names)
    while not all(name.startswith(shared) for name in names):
        shared = shared[:-1]
    while shared and (shared[-1].isalnum() or shared in names):
        shared = shared[:-1]
    return shared


def _fonts_for(text: str) -> tuple[list[str], set[str]]:
    """Font families, in order, that together draw `text`, and the letters that none of them has."""
    families = list(_FAMILIES)
    missing = {letter for letter in text if not letter.isspace()} - _glyphs_of(_FAMILIES[0])
    for family in sorted(_installed()):
        if not missing:
            break
        found = missing & _glyphs_of(family)
        if found:
            families.append(family)
            missing -= found
    return families, missing


def _installed() -> Iterable[str]:
    from matplotlib import font_manager

    return {font.name for font in font_manager.fontManager.ttflist}


@cache
def _glyphs_of(family: str) -> frozenset[str]:
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    try:
        path = font_manager.findfont(family, fallback_to_default=False)
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (ValueError, OSError, RuntimeError):
        return frozenset()
