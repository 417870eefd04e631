"""Pictures of the hyperparameters: importances, slices, parallel coordinates."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trainables.metrics import METRICS
from tuner.evaluation.comparison.hyperparameters import Importances
from tuner.evaluation.comparison.names import parameter_title, short_models
from tuner.html.canvas import COLOURS, fit_all, is_dark, paper
from tuner.html.escaping import for_picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tuner.html.canvas import Drawing

SHOWN = 12
"""Parameters in one picture, the most important first."""

ENDINGS = {"completed": (COLOURS[0], "o"), "stopped": (COLOURS[1], "x")}

LOGARITHMIC = {"learning_rate", "backbone_learning_rate", "weight_decay", "plateau_min_lr"}


def importance_bars(found: Importances) -> "Drawing":
    """Size and drawing of the importances, largest on top."""
    names = list(found.values)[:SHOWN]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        values = [100 * found.values[name] for name in names]
        bars = axes.barh(range(len(names)), values, color=COLOURS[0], height=0.6)
        axes.bar_label(bars, [f"{value:.0f}" for value in values], padding=3, fontsize=9)
        axes.set_yticks(range(len(names)), [parameter_title(name) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 1.1 * max(values))
        axes.set_xlabel("share of the variance explained, %")
        axes.grid(axis="y", visible=False)

    return (7.0, 1.1 + 0.33 * len(names)), draw


def slices(frame: "pd.DataFrame", metric: str, order: Sequence[str]) -> "Drawing":
    """Size and drawing of the value against each parameter, one panel each."""
    names = list(order)[:SHOWN]
    lines = -(-len(names) // 3)
    endings = {status: style for status, style in ENDINGS.items() if (frame["status"] == status).any()}

    def draw(figure: "Figure") -> None:
        from matplotlib.lines import Line2D

        grid = figure.subplots(lines, min(3, len(names)), squeeze=False, sharey=True)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(grid.flat, names, strict=False):
            x, ticks = _places(frame[name], name)
            for status, (colour, marker) in endings.items():
                some = frame[(frame["status"] == status) & frame[name].notna()]
                axes.plot(x[some.index], some["value"], marker, color=colour, ms=4.5, ls="")
            _label_places(axes, _short(ticks, name, 20))
            if _logarithmic(frame[name], name):
                axes.set_xscale("log")
            axes.set_title(name, fontsize=9)
            axes.tick_params(labelsize=8)
        figure.supylabel(metric, fontsize=10)
        # A panel may lack what others have; the legend is of all.
        handles = [
            Line2D([], [], color=colour, marker=marker, ms=4.5, ls="", label=status)
            for status, (colour, marker) in endings.items()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)

    return (7.2, 0.9 + 2.0 * lines), draw


def parallel(frame: "pd.DataFrame", metric: str, order: Sequence[str]) -> "Drawing":
    """Size and drawing of one line a trial over its parameters, broken where one has no meaning."""
    names = list(order)[:8]

    def draw(figure: "Figure") -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        axes = figure.add_subplot()
        best_first = METRICS[metric].minimised
        norm = Normalize(frame["value"].min(), frame["value"].max())
        # Good trials stand out most: dark on light paper, bright on dark paper.
        bright_best = is_dark()
        scale = ScalarMappable(norm, cmap="viridis" if best_first != bright_best else "viridis_r")
        heights = np.stack([_scaled(frame[name], name) for name in names], axis=1)
        worst_first = np.argsort(frame["value"].to_numpy())
        for i in worst_first[::-1] if best_first else worst_first:
            colour = scale.to_rgba(frame["value"].iloc[i])
            axes.plot(range(len(names)), heights[i], color=colour, lw=1.3, alpha=0.75, marker="o", ms=3)
        for position, name in enumerate(names):
            axes.axvline(position, color=axes.spines["left"].get_edgecolor(), lw=1, zorder=0)
            ends = _ends(frame[name], name)
            words = _short([word for _, word in ends], name, 17)
            for (height, _), word in zip(ends, words, strict=True):
                box = {"boxstyle": "square,pad=0.1", "fc": paper(), "ec": "none", "alpha": 0.85}
                axes.text(position + 0.04, height, for_picture(word), va="center", fontsize=7.5, bbox=box)
        axes.set_xticks(range(len(names)), names, rotation=25, ha="right")
        axes.set_yticks([])
        axes.set_xlim(-0.1, len(names) - 0.35)
        axes.set_ylim(-0.08, 1.08)
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        figure.colorbar(scale, ax=axes, label=metric, pad=0.01, aspect=30)

    return (7.6, 4.2), draw


def _is_text(values: "pd.Series[Any]") -> bool:
    return any(isinstance(value, str) for value in values)


def _logarithmic(values: "pd.Series[Any]", name: str) -> bool:
    return name in LOGARITHMIC and float(values.dropna().min()) > 0


def _places(values: "pd.Series[Any]", name: str) -> "tuple[pd.Series[Any], list[str]]":
    """Numbers for `values`; words become their rank, spread a little so that no trial hides another."""
    if not _is_text(values):
        return values, []
    words = sorted(values.dropna().unique())
    spread = np.random.default_rng(0).uniform(-0.15, 0.15, len(values))
    return values.map({word: rank for rank, word in enumerate(words)}) + spread, words


def _short(words: Sequence[str], name: str, width: int) -> list[str]:
    """The values of the parameter `name` in a few letters, all different."""
    if name == "model":
        short = short_models(words)
        words = [short[word] for word in words]
    return fit_all(words, width)


def _label_places(axes: "Axes", words: Sequence[str]) -> None:
    if words:
        axes.set_xticks(range(len(words)), [for_picture(word) for word in words], rotation=25, ha="right")
        axes.set_xlim(-0.5, len(words) - 0.5)


def _scaled(values: "pd.Series[Any]", name: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    if _is_text(values):
        words = sorted(values.dropna().unique())
        return values.map(
            {w: (i / (len(words) - 1) if len(words) > 1 else 0.5) for i, w in enumerate(words)}
        ).to_numpy(float)
    numbers = values.to_numpy(dtype=float)
    if _logarithmic(values, name):
        numbers = np.log(numbers)
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    scaled: np.ndarray[Any, np.dtype[np.float64]] = (numbers - low) / (high - low)
    return scaled


def _ends(values: "pd.Series[Any]", name: str) -> list[tuple[float, str]]:
    if _is_text(values):
        words = sorted(values.dropna().unique())
        return [(i / (len(words) - 1) if len(words) > 1 else 0.5, word) for i, word in enumerate(words)]
    return [(0.0, f"{values.min():.3g}"), (1.0, f"{values.max():.3g}")]
