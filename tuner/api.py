"""What the commands do, for Python: results are objects with DataFrames, progress goes to functions of yours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.tracking.events import Event
from tuner.tracking.reporter import Reporter

if TYPE_CHECKING:
    from tuner.evaluation.evidence import Comparison
    from tuner.release.job import Retrained
    from tuner.runs.trial import LiveTrial
    from tuner.tuning.loop import SearchResult

__all__ = ["compare", "retrain", "search"]

OnEpoch = Callable[[str, Mapping[str, Any]], None]
"""Takes the trial's id and its epoch's metrics, the fields of EpochMetrics."""

OnTrial = Callable[[str, Mapping[str, Any]], None]
"""Takes the trial's id and its row of `trials.parquet`."""


def search(
    space: str,
    data: Path | str | None = None,
    *,
    on_epoch: OnEpoch | None = None,
    on_trial: OnTrial | None = None,
    verbose: bool = False,
    **options: Any,
) -> "SearchResult":
    """Search `space` on the images in `data`, by default drawn sample pictures, and return the result.

    Its `trials` and `epochs` are DataFrames, `best` is the best trial's row, `run.path` the run directory.
    `on_epoch` and `on_trial` are called in the search's thread as it goes. `verbose` prints what the command prints.
    `options` are the other fields of `SearchConfig`; an unknown one is a TypeError. Raises UserMistake for
    what a person can mend.
    """
    from tuner.tuning.config import SearchConfig
    from tuner.tuning.loop import search as run

    for name in ("groups", "runs_dir"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    for name in ("models", "strategies", "log"):
        options[name] = _names(options.get(name, ()))
    options.setdefault("dashboard", False)
    config = SearchConfig(space=str(space), data=None if data is None else Path(data), **options)
    return run(config, _show(verbose), [_Telling(on_epoch, on_trial)])


def compare(runs: Path | str | Sequence[Path | str], **options: Any) -> "Comparison":
    """Score the finalists of one or more run directories on the test images; see `tuner.evaluation.comparison.compare`.

    The `table` and the `pairs` of the result are DataFrames, `conclusion` says in words what they mean.
    """
    from tuner.evaluation.comparison import compare as run

    paths = [runs] if isinstance(runs, (str, Path)) else runs
    return run([Path(path) for path in paths], **options)


def retrain(best: Path | str, *, verbose: bool = False, **options: Any) -> "Retrained":
    """Train the configuration of a `best.yaml`, or of a run directory, anew and write a model folder.

    `options` are the other fields of `RetrainConfig`.
    """
    from tuner.release.job import RetrainConfig
    from tuner.release.retrain import retrain as run

    path = Path(best)
    for name in ("data", "groups", "out"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    config = RetrainConfig(best=path / "best.yaml" if path.is_dir() else path, **options)
    return run(config, _show(verbose))


@dataclass(frozen=True)
class _Telling:
    """Hands the store's news to a person's functions."""

    on_epoch: OnEpoch | None
    on_trial: OnTrial | None

    def started(self, trial: "LiveTrial") -> None:
        """Nobody asked for starts."""

    def epoch(self, trial: "LiveTrial", event: Event) -> None:
        """Pass on an epoch."""
        if self.on_epoch is not None:
            self.on_epoch(event.trial_id, event.values)

    def ended(self, trial: "LiveTrial", event: Event) -> None:
        """Pass on an ended trial."""
        if self.on_trial is not None:
            self.on_trial(event.trial_id, event.values)


def _show(verbose: bool) -> Reporter:
    if not verbose:
        return Reporter()
    from rich.console import Console

    return Reporter(Console(highlight=False))


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
