"""Pictures of how a search went: learning curves, trials over time, who survived the rungs."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trainables.epoch_cost import spent
from trainables.metrics import METRICS
from tuner.evaluation.comparison.finalists import Finalist
from tuner.html.canvas import COLOURS, MARKERS, ink, lines
from tuner.html.escaping import for_picture
from tuner.runs.directory import Run, rows_of
from tuner.runs.trial_table import UNJUDGED, trial_config

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tuner.html.canvas import Drawing

SHOWN = 6
"""Finalists whose learning curves are drawn; more lines can't be told apart."""

ROUNDING = 1e-6

STATES = {
    "completed": (COLOURS[0], "o"),
    "stopped early by the scheduler": (COLOURS[1], "x"),
    "cut off by the time budget or by hand": (COLOURS[2], "+"),
    "failed": (COLOURS[4], "v"),
}

SPREAD = 10
"""Values so many times apart are drawn on a logarithmic scale: the worst would press all others into a line."""


def learning_curves(finalists: Sequence[Finalist]) -> "Drawing":
    """Size and drawing of loss and accuracy per epoch of the best finalists, training dashed."""
    shown = finalists[:SHOWN]
    curves = [one.run.epochs(str(one.row["trial_id"])) for one in shown]

    def draw(figure: "Figure") -> None:
        left, right = figure.subplots(1, 2)
        for number, (one, curve) in enumerate(zip(shown, curves, strict=True)):
            colour, marker = COLOURS[number], MARKERS[number]
            best = curve["epoch"] == one.row["best_epoch"]
            for axes, name, scale in ((left, "loss", 1), (right, "accuracy", 100)):
                axes.plot(
                    curve["epoch"], scale * curve[f"train_{name}"], color=colour, lw=1, ls="--", alpha=0.6
                )
                label = for_picture(lines(one.label, 44)) if axes is left else None
                axes.plot(curve["epoch"], scale * curve[f"val_{name}"], color=colour, lw=1.6, label=label)
                axes.plot(
                    curve["epoch"][best], scale * curve[f"val_{name}"][best], marker, color=colour, ms=7
                )
        losses = np.concatenate([curve["val_loss"].to_numpy(float) for curve in curves])
        _spread_out(left, losses[np.isfinite(losses)])
        left.set_title("loss, nats per image")
        right.set_title("accuracy, %")
        for axes in (left, right):
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside lower center", ncols=2 if len(shown) > 1 else 1)

    return (7.2, 3.6 + 0.22 * (len(shown) // 2)), draw


def over_time(run: Run) -> "Drawing":
    """Size and drawing of every trial by the time of its end and its value, with the best epoch so far."""
    metric = str(run.record["metric"])
    epochs = run.epochs().sort_values("time")
    start = float((epochs["time"] - epochs["epoch_seconds"]).min()) if len(epochs) else 0.0
    ended = epochs.groupby("trial_id")["time"].max().rename("ended")
    trials = run.trials().merge(ended, on="trial_id")
    trials = trials.assign(minutes=(trials["ended"] - start) / 60, ending=_endings(trials))

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        values = trials[trials["value"].notna()]
        for ending, (colour, marker) in STATES.items():
            some = trials[trials["ending"] == ending]
            if len(some) == 0:
                continue
            place = some["value"].where(some["value"].notna(), _worst(values, metric))
            axes.plot(
                some["minutes"], place, marker, color=colour, ms=6, ls="", label=f"{ending} ({len(some)})"
            )
        measured = epochs[metric].cummin() if METRICS[metric].minimised else epochs[metric].cummax()
        minutes = (epochs["time"] - start) / 60
        axes.step(minutes, measured, where="post", color=ink(), lw=1.2, label="best so far")
        _spread_out(axes, np.concatenate([values["value"], measured.dropna()]))
        axes.set_xlabel("minutes since the start")
        axes.set_ylabel(metric)
        figure.legend(loc="outside lower center", ncols=2)

    return (7.0, 4.0), draw


def _endings(trials: "pd.DataFrame") -> list[str]:
    """How each trial ended, as the picture names it."""
    completed, by_scheduler, cut_off, failed = STATES
    endings = {"completed": completed, "stopped": by_scheduler, "failed": failed}
    return [cut_off if row["reason"] in UNJUDGED else endings[row["status"]] for row in rows_of(trials)]


def _spread_out(axes: "Axes", values: "npt.NDArray[np.float64]") -> None:
    """A logarithmic scale for values of which one is many times another."""
    if len(values) and values.min() > 0 and values.max() > SPREAD * values.min():
        axes.set_yscale("log")


def _worst(values: "pd.DataFrame", metric: str) -> float:
    if len(values) == 0:
        return 0.0
    return float(values["value"].max() if METRICS[metric].minimised else values["value"].min())


def _spent(trials: "pd.DataFrame", *, cached: bool) -> list[float]:
    """What each trial had spent before its last epoch, in full epochs: it went on with that beyond a rung."""
    rows = rows_of(trials)
    return [spent(trial_config(row), max(0, int(row["epochs"]) - 1), cached=cached) for row in rows]


def _survived(trials: "pd.DataFrame", rung: int) -> float:
    """The percentage of trials that went on beyond `rung`, of those of which it is known; NaN of none."""
    beyond = (trials["spent"] >= rung - ROUNDING) | (trials["status"] == "completed")
    known = beyond | ~trials["cut"]
    return 100 * float(beyond[known].mean()) if known.any() else math.nan


def rung_survival(run: Run) -> "Drawing | None":
    """Size and drawing of the share of trials that went beyond each rung, by strategy; None without rungs.

    A trial that was cut off before a rung counts there neither way.
    """
    settings = run.record["settings"]
    rungs, cost = [], float(settings["grace_period"])
    while round(cost) < float(settings["max_epochs"]):
        rungs.append(round(cost))
        cost *= float(settings["reduction_factor"])
    trials = run.trials()
    trials = trials[trials["status"] != "failed"]
    if run.record["grid"] or not rungs or len(trials) == 0:
        return None
    trials = trials.assign(
        spent=_spent(trials, cached=settings.get("feature_cache_bytes", 1) > 0),
        cut=trials["reason"].isin(UNJUDGED),
    )
    rows = {str(name): some for name, some in trials.groupby("strategy")}

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        width = 0.8 / len(rows)
        for number, (name, some) in enumerate(rows.items()):
            alive = [_survived(some, rung) for rung in rungs]
            x = np.arange(len(rungs)) + (number - (len(rows) - 1) / 2) * width
            label = for_picture(f"{name.replace('_', ' ')} ({len(some)} trials)")
            bars = axes.bar(x, alive, width * 0.9, color=COLOURS[number % len(COLOURS)], label=label)
            said = ["none" if np.isnan(share) else f"{share:.0f}" for share in alive]
            axes.bar_label(bars, said, fontsize=8, padding=2)
        axes.set_xticks(range(len(rungs)), [str(rung) for rung in rungs])
        axes.set_xlabel("rung: what a trial has spent, in full epochs")
        axes.set_ylim(0, 112)
        axes.set_yticks(range(0, 101, 20))
        axes.set_ylabel("went on beyond the rung, %")
        axes.grid(axis="x", visible=False)
        figure.legend(loc="outside lower center", ncols=2)

    return (7.0, 3.8), draw
