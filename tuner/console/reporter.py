"""Words, bars and tables for a person's terminal."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from trainables.metrics import METRICS
from tuner.console.sentences import show

"""The metrics of a table of trials, beside the one that was searched by."""

UNBOUNDED = 10_000

ENDS = ("completed", "stopped", "failed")
"""How a trial ends."""


class Reporter:
    """Where words for a person go; without a console nowhere, which is what Python callers get."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console

    def line(self, text: str) -> None:
        """One plain line."""
        if self.console is not None:
            show(self.console, text)

    def warn(self, text: str) -> None:
        """One line that wants attention."""
        if self.console is not None:
            show(self.console, Text(f"note: {text}", style="yellow"))

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say `what` is done while it is done: on a terminal in a line that goes away, elsewhere in one that stays."""
        if self.console is None or not self.console.is_terminal:
            self.line(f"{what} ...")
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Bar(*columns, console=self.console, transient=True) as bar:
            bar.add_task(what, total=None)
            yield

    @contextlib.contextmanager
    def starting(self, what: str = "tuner starts") -> Iterator[None]:
        """Say `what` is done while it is done, on a terminal alone: by default, that what tuner needs is imported."""
        if self.console is None or not self.console.is_terminal:
            yield
            return
        with self.waiting(what):
            yield

    @contextlib.contextmanager
    def progress(self, title: str) -> Iterator[Callable[[int, int], None] | None]:
        """A function of (done, total) that draws a bar on a terminal; None where there is none."""
        if self.console is None or not self.console.is_terminal:
            yield None
            return
        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


EQUAL = "the same number under expected: which of these is better, the images do not tell"
"""What stands below a table in which several trials expect the same."""


NARROWER = ("source", "status", "epoch")
"""Columns that a terminal which is too narrow for all goes without, the first first."""


def leaderboard_table(rows: list[dict[str, Any]], metric: str, most: int | None = None) -> RenderableType:
    """The best trials first; failed ones last. `rows` as `trials.parquet` has them.

    Where trials have an estimate they are sorted by it, and it stands under `expected` beside what was measured. Rows
    may also say by how many `judged` images that is, that they are `chosen`, and have a `note`. A
    terminal that is too narrow for all columns gets fewer of them, so that no name and no number is cut.
    """
    ordered = sorted(rows, key=lambda row: _place(row, metric))
    # Of those that do not fit none is left out that has something to say.
    ranked = ordered[:most] + [row for row in ordered[len(ordered[:most]) :] if row.get("note")]
    measured = [name for name in METRICS if any(row.get(name) == row.get(name) is not None for row in ranked)]
    others = [name for name in measured if name != metric]
    tables = [_best_trials(ranked, metric, others[:count]) for count in range(len(others), -1, -1)]
    narrower = [_best_trials(ranked, metric, (), NARROWER[: count + 1]) for count in range(len(NARROWER))]
    return Fitting([*tables, *narrower])


def _place(row: Mapping[str, Any], metric: str) -> tuple[bool, float, bool, float]:
    """What a row is sorted by: those that all images judged before others, and of equal ones the `chosen` one."""
    first, second = METRICS[metric].place(row)
    unknown = row.get("judged") is not None and _number(row.get("estimate")) == "-"
    return unknown, first, not row.get("chosen"), second


@dataclass(frozen=True)
class Fitting:
    """The first of `tables`, widest first, that fits the terminal, else the last with its words folded."""

    tables: Sequence[Table]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose one."""
        for table in self.tables:
            if console.measure(table, options=options.update(width=UNBOUNDED)).maximum <= options.max_width:
                yield table
                return
        yield self.tables[-1]


def _best_trials(
    rows: Sequence[Mapping[str, Any]], metric: str, others: Sequence[str], without: Sequence[str] = ()
) -> Table:
    table = Table(title="best trials", title_justify="left", box=None, pad_edge=False)
    estimates = [value for row in rows if (value := _number(row.get("estimate"))) != "-"]
    if len(set(estimates)) < len(estimates):
        table.caption, table.caption_justify = EQUAL, "left"
    cells = [_cells(row, metric, others, bool(estimates)) for row in rows]
    heads = [name for row in cells for name in row] or ["trial", metric, "epoch", "status", "source"]
    for name in dict.fromkeys(name for name in heads if name not in without):
        table.add_column(
            name.replace("balanced_accuracy", "balanced_acc"),
            justify="left" if name in ("trial", "status", "source", "") else "right",
            overflow="fold",
        )
    for row in cells:
        table.add_row(*(value for name, value in row.items() if name not in without))
    return table


def _cells(row: Mapping[str, Any], metric: str, others: Sequence[str], with_estimate: bool) -> dict[str, str]:
    """A line of the table of trials, by the heads of its columns."""
    found = {"trial": str(row["trial_id"])}
    if with_estimate:
        error = "-" if row.get("judged") is None else _number(row.get("estimate_error"))
        found["expected"] = _number(row.get("estimate")) + ("" if error == "-" else f" ± {error}")
    if row.get("judged") is not None:
        found["by images"] = str(row["judged"])
    found |= {metric: _number(row["value"]), **{name: _number(row.get(name)) for name in others}}
    best = row["best_epoch"]
    found["epoch"] = "-" if best is None or best != best else f"{int(best)}/{int(row['epochs'])}"
    # Runs of earlier versions don't say where a trial came from.
    source = row.get("source") if isinstance(row.get("source"), str) else "-"
    found |= {"status": str(row["status"]), "source": str(source)}
    if row.get("note") is not None:
        found[""] = str(row["note"])
    return found


def trial_counts(
    rows: Sequence[Mapping[str, Any]], total: int, running: int | None = None, unfinished: int | None = None
) -> str:
    """How many of `total` trials have ended and how; the probe's models stand apart, since they are no samples.

    `rows` are those of ended trials, as `trials.parquet` has them.

    >>> rows = [{"status": "completed", "source": "probe"}, {"status": "stopped", "source": "tpe"}]
    >>> trial_counts(rows, 8, running=2)
    'trials 1/8: 2 running, 0 completed, 1 stopped, 0 failed | 1 model of the probe'
    """
    counted = sampled(rows)
    states = [] if running is None else [f"{running} running"]
    states += [f"{sum(row['status'] == one for row in counted)} {one}" for one in ENDS]
    states += [] if unfinished is None else [f"{unfinished} unfinished"]
    return f"trials {len(counted)}/{total}: {', '.join(states)}{probed_words(len(rows) - len(counted))}"


def probed_words(count: int) -> str:
    """How many models of the probe stand beside trials; nothing where there is none."""
    return f" | {count} model{'s' * (count > 1)} of the probe" if count else ""


def sampled(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows that count towards --samples: all but those of the probe's models."""
    return [row for row in rows if row.get("source") != "probe"]


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, as short as they go: 42s, 3m05s, 2h10m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4f}"
