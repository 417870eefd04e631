"""Bring logs up to date: what a sink did not take during a search or a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.runs.directory import Run
from tuner.tracking import sinks
from tuner.tracking.events import events_of, final_tests
from tuner.tracking.outbox import BATCH, append, deliver, doubtful_file, read, unsent_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Synced", "log_final_tests", "logs_of", "sync"]


@dataclass(frozen=True)
class Synced:
    """How many events the sink `name` was sent; `trouble` says why it did not take them, None if it did.

    `doubtful` events may have arrived during the search and are not sent again.
    """

    name: str
    events: int
    trouble: str | None
    doubtful: int = 0


def logs_of(run: Run) -> list[str]:
    """The sinks that the run was started with, or that have something to be sent."""
    chosen = list(run.record.get("settings", {}).get("log", ()))
    files = (unsent_file, doubtful_file)
    others = [name for name in sinks.names() if any(file(run, name).exists() for file in files)]
    return chosen + [name for name in others if name not in chosen]


def sync(run: Run, names: Sequence[str] | None = None, patience_s: float = 20.0) -> list[Synced]:
    """Send what is unsent to the sinks `names`, by default all that the run logs to.

    A sink in which a repeated event leaves no double gets the whole run, so that it equals the run directory
    even after a driver was killed. Raises UnknownName or InvalidValue for a sink that can't be used.
    """
    found = []
    for name in logs_of(run) if names is None else names:
        sinks.check(name)
        found.append(_sync(run, name, patience_s))
    return found


def log_final_tests(run: Run, table: "pd.DataFrame", patience_s: float = 3.0) -> list[Synced]:
    """Send the test scores of a comparison's `table` to all that `run` logs to; what fails waits for `sync`.

    Test scores go to the sinks that keep documents; a repeated comparison replaces its own.
    """
    found = []
    for name in run.record.get("settings", {}).get("log", ()):
        if sinks.is_repeatable(name):
            append(unsent_file(run, name), list(final_tests(run, table)))
            found.append(_sync(run, name, patience_s, whole=False))
    return found


def _sync(run: Run, name: str, patience_s: float, *, whole: bool = True) -> Synced:
    file = unsent_file(run, name)
    sending = file.with_suffix(".sending")
    # A search that runs meanwhile may add lines: it finds no file, and starts a new one.
    _set_aside(file, sending)
    events, repeatable = read(sending), sinks.is_repeatable(name)
    if whole and repeatable:
        events = [*events_of(run), *events]
    left, doubts = list(events), len(read(doubtful_file(run, name)))
    try:
        if events:
            deliver(lambda: sinks.open_sink(name, run), left, patience_s, BATCH if repeatable else 1)
    except sinks.SinkError as error:
        if not repeatable:
            sending.unlink()
            append(sending, left)
        _set_aside(sending, file)
        return Synced(name, len(events), str(error), doubts)
    sending.unlink(missing_ok=True)
    return Synced(name, len(events), None, doubts)


def _set_aside(source: Path, target: Path) -> None:
    """Move the lines of `source` to the end of `target`."""
    if source.exists() and not target.exists():
        source.replace(target)
    elif source.exists():
        append(target, read(source))
        source.unlink()
