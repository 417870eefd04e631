"""How far a search is, read from its directory by anybody at any time; and the requests to stop it."""

import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trainables import strategies
from trainables.config import TrialConfig
from trainables.errors import RunProblem, UnknownName
from trainables.wording import TRIALS_NAMED
from tuner.console.reporter import clock, leaderboard_table, trial_counts
from tuner.runs.directory import Run, rows_of
from tuner.runs.heartbeat import STOP_RUN, Driver, driver_of, page_words, request_stop
from tuner.tracking.leaderboard import by_all, cut_words, remarks

__all__ = ["BESIDE_TRIALS", "Status", "read_status", "render", "stop_run", "stop_trial"]

BEST_SHOWN = 5

BESIDE_TRIALS = "no trial runs now: the search starts or ends, or its model is written"
"""What is said of a run whose lock is held, but not for trials."""


@dataclass(frozen=True)
class Status:
    """A search at one moment.

    `state` is running, stopping, finished, interrupted or dead (its driver died without a word). `live` are the
    trials that have begun and not ended, by id, each with the rows of its epochs; `rows` are those of the trials that
    have ended, and of those that a time budget cut and that live on.
    """

    run: Run
    record: Mapping[str, Any]
    state: str
    driver: Driver | None
    live: Mapping[str, list[dict[str, Any]]]
    max_epochs: Mapping[str, int]
    rows: list[dict[str, Any]]
    unsent: Mapping[str, int]

    @property
    def ended(self) -> list[dict[str, Any]]:
        """The rows of the trials that have ended."""
        return [row for row in self.rows if row["trial_id"] not in self.live]


def read_status(path: Path) -> Status:
    """The search at `path` now; raises RunProblem if there is none."""
    run = Run.open(path)
    record, driver = run.record, driver_of(run)
    rows, live, limits = _trials(run)
    unsent = {
        file.stem.removeprefix("unsent-"): len(file.read_text(encoding="utf-8").splitlines())
        for file in sorted(run.path.glob("unsent-*.jsonl"))
    }
    return Status(run, record, _state(run, record, driver), driver, live, limits, rows, unsent)


def render(path: Path) -> RenderableType:
    """The status of the run at `path` for a terminal."""
    found = read_status(path)
    metric = str(found.record["metric"])
    lines: list[RenderableType] = [Text(_headline(found), "bold"), *map(Text, remarks(dict(found.record)))]
    lines += [Text(line) for line in _facts(found)]
    if found.live:
        lines.append(_running(found, metric))
    if found.rows:
        lines.append(leaderboard_table(by_all(found.run, found.rows), metric, BEST_SHOWN))
    return Group(*lines)


def stop_run(path: Path) -> str:
    """Ask the search at `path` to end as Ctrl-C would; what to tell the person. Raises RunProblem if none runs."""
    run = Run.open(path)
    _require_running(run)
    request_stop(run, STOP_RUN)
    return f"asked the search to end; it ends within an epoch. Go on later with: tuner resume {run.path}"


def stop_trial(path: Path, trial_id: str) -> str:
    """Ask that one trial ends after its epoch; raises RunProblem or, for a trial that does not live, UnknownName."""
    run = Run.open(path)
    _require_running(run)
    _, live, _ = _trials(run)
    if trial_id not in live:
        raise UnknownName.of("running trial", trial_id, live, TRIALS_NAMED)
    request_stop(run, trial_id)
    return (
        f"asked {trial_id} to end; it ends for good after its epoch and counts as stopped; the search goes on"
    )


def _require_running(run: Run) -> None:
    driver = driver_of(run)
    if driver is None or not driver.alive:
        raise RunProblem(
            f"{run.path} is not running, so there is nothing to stop; look: tuner status {run.path}"
        )


def _trials(run: Run) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]], dict[str, int]]:
    """Rows of trials that have one, epochs of living ones, and how many epochs each of these may have.

    The rows of trials that a time budget cut or another program ended stand in `trials.parquet` alone.
    """
    from tuner.runs.journal import load_study, own_trials

    rows: list[dict[str, Any]] = []
    live: dict[str, list[dict[str, Any]]] = {}
    limits: dict[str, int] = {}
    table = {str(row["trial_id"]): row for row in rows_of(run.trials())}
    for trial in own_trials(load_study(run.journal)).values() if run.journal.exists() else []:
        name, row = str(trial.user_attrs["trial_id"]), trial.user_attrs.get("row")
        if not trial.state.is_finished():
            live[name] = rows_of(run.epochs(name))
            limits[name] = strategies.max_epochs(TrialConfig(**trial.user_attrs["config"]))
            row = None
        row = row or table.get(name)
        if row is not None:
            rows.append(dict(row))
    return rows, live, limits


def _state(run: Run, record: Mapping[str, Any], driver: Driver | None) -> str:
    if driver is not None and driver.alive:
        return "stopping" if (run.path / "stop" / STOP_RUN).exists() else "running"
    if driver is not None:
        return "dead"
    if run.in_use:
        # Before its trials begin and after they have ended nobody gives a sign of life but the lock.
        return "running"
    return "interrupted" if record.get("finished") is None else "finished"


def _headline(found: Status) -> str:
    total, name = found.record["settings"]["samples"], found.run.path.name
    what = "running" if found.state in ("running", "stopping") else "unfinished"
    return f"{name}: {found.state} | {trial_counts(found.ended, total, **{what: len(found.live)})}"


def _facts(found: Status) -> list[str]:
    """Who runs it, where its pages are, what is unsent, and what to type."""
    lines, path, driver = [], found.run.path, found.driver
    if driver is not None:
        since = datetime.datetime.fromtimestamp(driver.since).strftime("%Y-%m-%d %H:%M:%S")
        seen = clock(max(0.0, time.time() - driver.seen))
        lines.append(f"process {driver.pid} on {driver.host} since {since}, last seen {seen} ago")
        if driver.alive:
            lines += [driver.doing] * bool(driver.doing) + page_words(driver.pages)
    elif found.state == "running":
        lines.append(BESIDE_TRIALS)
    if found.state == "dead":
        lines.append(f"the process died; go on with: tuner resume {path}")
    if found.state == "interrupted":
        lines.append(f"stopped before the end; go on with: tuner resume {path}")
    if found.state == "finished" and found.live:
        lines.append(f"{cut_words(len(found.live))}; go on with: tuner resume {path} --time-budget DURATION")
    lines += [
        f"{name}: {count} entries unsent; send them with: tuner sync {path}"
        for name, count in found.unsent.items()
    ]
    return lines


def _running(found: Status, metric: str) -> Table:
    title = "running" if found.state in ("running", "stopping") else "unfinished"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("trial", "epoch", metric, "seconds an epoch"):
        table.add_column(name, justify="left" if name == "trial" else "right", overflow="fold")
    for name, epochs in found.live.items():
        last = epochs[-1] if epochs else None
        value, seconds = (
            ("-", "-") if last is None else (f"{last[metric]:.4f}", f"{last['epoch_seconds']:.1f}")
        )
        table.add_row(name, f"{len(epochs)}/{found.max_epochs[name]}", value, seconds)
    return table
