"""What happens in a search, told to whoever asked: an epoch, the end of a trial, a finalist's test scores."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trainables.config import EPOCH_COLUMNS, TrialConfig
from trainables.metrics import METRICS
from tuner.runs.directory import Run

if TYPE_CHECKING:
    import pandas as pd

    from tuner.runs.trial import LiveTrial

__all__ = ["END", "EPOCH", "FINAL_TEST", "Event", "Observer", "events_of", "final_tests", "improved"]

EPOCH, END, FINAL_TEST = "epoch", "end", "final_test"


@dataclass(frozen=True)
class Event:
    """One thing that happened to a trial; plain values only, so it can be written as a line of JSON.

    `kind` is epoch, end or final_test. `values` are the columns of an epoch that have a value, the row of
    `trials.parquet` or the row of the comparison. `parameters` are the fields of TrialConfig. `is_best` says that no
    earlier epoch of the trial was as good.
    """

    kind: str
    trial_id: str
    combination: str
    parameters: Mapping[str, Any]
    values: Mapping[str, Any]
    is_best: bool = False


class Observer(Protocol):
    """Is told by the store, in the search's own thread: return quickly."""

    def started(self, trial: "LiveTrial") -> None:
        """`trial` starts, or goes on."""

    def epoch(self, trial: "LiveTrial", event: Event) -> None:
        """`trial` has finished an epoch that nobody knew yet."""

    def ended(self, trial: "LiveTrial", event: Event) -> None:
        """`trial` has ended; its row is `event.values`."""


def epoch_event(
    trial_id: str, config: TrialConfig, epochs: Mapping[int, Mapping[str, Any]], number: int, metric: str
) -> Event:
    """The event of epoch `number` of a trial whose `epochs` are known by number."""
    measured = {name: _plain(epochs[number].get(name)) for name in EPOCH_COLUMNS}
    # A metric that needs a positive class, or that a run of an earlier version did not know, has no value.
    values = {name: value for name, value in measured.items() if value is not None}
    best = improved({epoch: row[metric] for epoch, row in epochs.items()}, number, metric)
    return Event(EPOCH, trial_id, config.combination, asdict(config), values, best)


def end_event(trial_id: str, config: TrialConfig, row: Mapping[str, Any]) -> Event:
    """The event of a trial's end; `row` as in `trials.parquet`."""
    return Event(END, trial_id, config.combination, asdict(config), dict(row))


def improved(values: Mapping[int, float], number: int, metric: str) -> bool:
    """Whether epoch `number` is better than every earlier one."""
    earlier = [value for epoch, value in values.items() if epoch < number]
    return not earlier or METRICS[metric].better(values[number], than=METRICS[metric].best(earlier))


def events_of(run: Run) -> Iterator[Event]:
    """Every event that the directory of `run` holds, trial after trial; test scores are not among them."""
    from tuner.runs.journal import load_study, own_trials

    metric = str(run.record["metric"])
    for trial in own_trials(load_study(run.journal)).values():
        name, config = trial.user_attrs["trial_id"], TrialConfig(**trial.user_attrs["config"])
        rows = run.epochs(name).drop(columns="trial_id").to_dict("records")
        epochs = {int(row["epoch"]): {str(key): value for key, value in row.items()} for row in rows}
        for number in sorted(epochs):
            yield epoch_event(name, config, epochs, number, metric)
        if trial.state.is_finished() and "row" in trial.user_attrs:
            yield end_event(name, config, trial.user_attrs["row"])


def final_tests(run: Run, table: "pd.DataFrame") -> Iterator[Event]:
    """The test scores of those finalists in a comparison's `table` that are trials of `run`."""
    from tuner.runs.directory import rows_of
    from tuner.runs.trial_table import trial_config

    finalists = {str(row["trial_id"]): row for row in rows_of(table[table["run"] == run.path.resolve().name])}
    for row in rows_of(run.trials()):
        name = str(row["trial_id"])
        if name in finalists:
            config = trial_config(row)
            values = {key: _plain(value) for key, value in finalists[name].items()}
            yield Event(FINAL_TEST, name, config.combination, asdict(config), values)


def tell_epoch(observers: Iterable[Observer], trial: "LiveTrial", number: int, metric: str) -> None:
    """Tell `observers` that `trial` has finished epoch `number`."""
    for observer in observers:
        event = epoch_event(trial.trial_id, trial.config, trial.epochs, number, metric)
        observer.epoch(trial, event)


def tell_end(observers: Iterable[Observer], trial: "LiveTrial", row: Mapping[str, Any]) -> None:
    """Tell `observers` that `trial` has ended with `row`."""
    for observer in observers:
        observer.ended(trial, end_event(trial.trial_id, trial.config, row))


def _plain(value: Any) -> Any:
    """A scalar of NumPy or pandas as Python's own; missing values as None."""
    if hasattr(value, "item"):
        value = value.item()
    return None if value is None or value != value else value
