"""Pictures of the finalists' test scores."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trainables import strategies
from trainables.config import TrialConfig
from tuner.evaluation.comparison.finalists import Finalist
from tuner.evaluation.comparison.names import short_models, strategy_name
from tuner.html.canvas import COLOURS, MARKERS, fit_all, ink, lines, paper
from tuner.html.escaping import for_picture
from tuner.statistics.intervals import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tuner.evaluation.comparison.evidence import Evidence
    from tuner.html.canvas import Drawing

SHOWN = 24
"""Rows of the picture of accuracies; more can't be read."""


def accuracies(table: "pd.DataFrame") -> "Drawing":
    """Size and drawing of the accuracy of every finalist with both intervals and the published figure."""
    rows = table.head(SHOWN)
    names = [lines(label, 36) for label in rows["label"]]
    tallest = 1 + max(name.count("\n") for name in names)

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        y = np.arange(len(rows))
        x = 100 * rows["test_accuracy"].to_numpy()
        for name, width, colour in (("test_accuracy", 1.6, COLOURS[0]), ("image_accuracy", 5.5, COLOURS[5])):
            ends = 100 * rows[[f"{name}_low", f"{name}_high"]].to_numpy()
            label = "95 % interval" if name == "test_accuracy" else "95 %, if images were independent"
            alpha = 1.0 if name == "test_accuracy" else 0.45
            axes.hlines(y, ends[:, 0], ends[:, 1], color=colour, lw=width, alpha=alpha, label=label)
        axes.plot(x, y, "o", color=COLOURS[0], ms=6, label="test accuracy", zorder=3)
        published = 100 * rows["published_accuracy"].to_numpy(dtype=float)
        if np.isfinite(published).any():
            axes.hlines(y, *_published_ends(rows), color=COLOURS[4], lw=1.5)
            axes.plot(
                published,
                y,
                "D",
                mfc="none",
                mec=COLOURS[4],
                ms=7,
                mew=1.5,
                ls="",
                label="published (split by image)",
            )
        axes.axvline(x[0], color=ink(), lw=0.8, ls=":")
        axes.set_yticks(y, [for_picture(name) for name in names], fontsize=9)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("test accuracy, %")
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside lower center", ncols=2)

    return (7.0, 1.9 + (0.34 if tallest < 3 else 0.17 * tallest) * len(rows)), draw


GROUPS = ("solved heads", "fine-tuning", "+ label smoothing", "+ plateau")
"""What `group_of` numbers; the last three are those of the study."""


def group_of(config: TrialConfig) -> int:
    """Which of `GROUPS` a configuration belongs to."""
    if strategies.is_linear_probe(config.strategy):
        return 0
    return 3 if config.schedule == "plateau" else 2 if config.label_smoothing > 0 else 1


def groups_of(finalists: Sequence[Finalist]) -> list[int]:
    """Those of `GROUPS` in which there is a finalist, in their order."""
    return sorted({group_of(one.config) for one in finalists})


def side_by_side(finalists: Sequence[Finalist], table: "pd.DataFrame") -> "Drawing":
    """Size and drawing of fine-tuning, + label smoothing, + plateau side by side, as the study showed them.

    Each of the `groups_of` the finalists shows, of every model and strategy, the finalist that is best on validation;
    of many models and strategies the best seven, since more colours can't be told apart.
    """
    shown = groups_of(finalists)
    cells: dict[tuple[tuple[str, str], int], int] = {}
    for position, one in enumerate(finalists):
        cells.setdefault((series_name(one), shown.index(group_of(one.config))), position)
    series = sorted(list(dict.fromkeys(name for name, _ in cells))[: len(COLOURS)])
    models = short_models(one.config.model for one in finalists)

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        width = 0.8 / max(1, len(series))
        for number, name in enumerate(series):
            places = [group for group in range(len(shown)) if (name, group) in cells]
            rows = table.iloc[[cells[name, group] for group in places]]
            x = np.array(places) + (number - (len(series) - 1) / 2) * width
            y = 100 * rows["test_accuracy"].to_numpy()
            low, high = (100 * rows[f"test_accuracy_{end}"].to_numpy() for end in ("low", "high"))
            label = f"{models[name[0]]} · {name[1]}"
            colour, marker = COLOURS[number], MARKERS[number]
            axes.vlines(x, low, high, color=colour, lw=2)
            axes.plot(x, y, marker, color=colour, ms=8, ls="", label=for_picture(lines(label, 34)))
            _seed_spread(axes, x - width / 4, rows, colour)
            published = 100 * rows["published_accuracy"].to_numpy(dtype=float)
            axes.vlines(x + width / 4, *_published_ends(rows), color=colour, lw=1.5)
            axes.plot(x + width / 4, published, "D", mfc=paper(), mec=colour, ms=6, mew=1.5, ls="")
        axes.set_xticks(range(len(shown)), [GROUPS[group] for group in shown])
        axes.set_xlim(-0.5, len(shown) - 0.5)
        between = np.arange(len(shown) - 1) + 0.5
        axes.vlines(
            between, 0, 1, transform=axes.get_xaxis_transform(), color=axes.spines["left"].get_edgecolor()
        )
        axes.set_ylabel("test accuracy, %")
        axes.grid(axis="x", visible=False)
        if table["published_accuracy"].notna().any():
            axes.plot(
                [], [], "D", mfc=paper(), mec=ink(), ms=6, mew=1.5, ls="", label="published, and its range"
            )
        if (table["seeds"] > 1).any():
            axes.errorbar([], [], yerr=[], color=ink(), capsize=4, fmt="none", label="our seeds: mean ± sd")
        figure.legend(loc="outside lower center", ncols=2 if len(series) > 2 else 4)

    return (7.0, 4.4), draw


def series_name(one: Finalist) -> tuple[str, str]:
    """Model and strategy as the picture of the groups names them; untrained auxiliary heads are a series."""
    return one.config.model, strategy_name(one.config.strategy, one.config.auxiliary_weight)


def _published_ends(rows: "pd.DataFrame") -> tuple[FloatArray, FloatArray]:
    """The ends of the published figures, %, NaN where there are none."""
    low, high = (100 * rows[f"published_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
    return low, high


def _seed_spread(axes: "Axes", x: FloatArray, rows: "pd.DataFrame", colour: str) -> None:
    """Mean and standard deviation over other seeds, where a finalist was trained from several."""
    known = (rows["seeds"] > 1).to_numpy()
    if known.any():
        mean, spread = (
            100 * rows[f"seed_accuracy_{of}"].to_numpy(dtype=float)[known] for of in ("mean", "sd")
        )
        axes.errorbar(x[known], mean, yerr=spread, color=colour, capsize=4, lw=1.2, fmt="none")


def confusions(table: "pd.DataFrame", names: Sequence[str]) -> "Drawing":
    """Size and drawing of the confusion matrices of the best finalists, rows being the true class."""
    classes = len(names)
    columns = 3 if classes <= 4 else 2 if classes <= 8 else 1
    shown = table.head({3: 9, 2: 4, 1: 1}[columns])
    rows = -(-len(shown) // columns)
    ticks = [for_picture(name) for name in fit_all(names, 18)]

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for axes, (_, row) in zip(grid.flat, shown.iterrows(), strict=False):
            _matrix(axes, np.array(json.loads(row["confusion"])))
            title = f"{lines(row['label'], 24)}\n{100 * row['test_accuracy']:.1f} %"
            axes.set_title(for_picture(title), fontsize=9)
            axes.set_xticks(range(classes), ticks, rotation=40, ha="right")
            axes.set_yticks(range(classes), ticks)
        for axes in grid.flat[max(0, len(shown) - columns) : len(shown)]:
            axes.tick_params(labelbottom=True)
        figure.supxlabel("predicted class", fontsize=10)
        figure.supylabel("true class", fontsize=10)

    side = {3: 1.7, 2: 2.4, 1: 4.8 if classes < 30 else 6.0}[columns]
    return (7.2, 1.5 + rows * (side + 0.6)), draw


def _matrix(axes: "Axes", counts: FloatArray) -> None:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=8)
    if len(counts) > 20:
        return
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            if count:
                colour = "#ffffff" if share[i, j] > 0.55 else "#1d1d1f"
                axes.text(j, i, str(int(count)), ha="center", va="center", color=colour, fontsize=8)


def calibration(evidence: "Evidence", table: "pd.DataFrame") -> "Drawing":
    """Size and drawing of confidence against accuracy in 15 bins of equal width, for the best finalists."""
    shown = evidence.finalists[:6]
    rows = -(-len(shown) // 3)

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(rows, min(3, len(shown)), squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for axes, one, error in zip(grid.flat, shown, table["calibration_error"], strict=False):
            sure = evidence.answers(one.key).probabilities.max(axis=1)
            code = np.clip(np.ceil(sure * 15).astype(int) - 1, 0, 14)
            count = np.bincount(code, minlength=15)
            full = count > 0
            x = np.bincount(code, weights=sure, minlength=15)[full] / count[full]
            y = np.bincount(code, weights=evidence.correct(one.key), minlength=15)[full] / count[full]
            axes.plot([0, 100], [0, 100], color=ink(), lw=0.8, ls=":")
            axes.plot(100 * x, 100 * y, color=COLOURS[0], lw=1)
            axes.scatter(100 * x, 100 * y, s=12 + 220 * count[full] / len(sure), color=COLOURS[0], alpha=0.75)
            title = f"{lines(one.label, 28)}\ncalibration error {100 * error:.1f} %"
            axes.set_title(for_picture(title), fontsize=9)
            axes.set_xlim(100 / len(evidence.classes) - 6, 103)
            axes.set_ylim(-4, 104)
        figure.supxlabel("confidence, %", fontsize=10)
        figure.supylabel("right, %", fontsize=10)

    return (7.2, 0.7 + 2.75 * rows), draw
