"""Which trial of a run is released without training, and its weights: those that the search kept, or is keeping now."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.checkpoint import best_name, take_best
from trainables.config import TrialConfig
from trainables.errors import RunProblem, UnknownName
from trainables.metrics import METRICS
from trainables.wording import TRIALS_NAMED, some
from tuner.runs.directory import Run, read_yaml, rows_of
from tuner.runs.trial import LiveTrial
from tuner.runs.trial_table import flat_row
from tuner.tuning.trial_rows import row_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["take_kept"]

ATTEMPTS = 5
"""So often the weights are taken again where a search that goes on has replaced them meanwhile."""

Rows = Mapping[str, Mapping[str, Any]]


def take_kept(run: Run, trial: str | None, target: Path) -> dict[str, Any]:
    """The row of `trial` as in `trials.parquet`; the weights of its best epoch are copied to the file `target`.

    Without `trial` it is that of the run's best.yaml once the search has finished, else the best on the validation
    images of which there are weights. The search may be going on, or have been killed. Raises UnknownName for a trial
    that the run does not have, RunProblem where there are no weights.
    """
    for _ in range(ATTEMPTS):
        rows = _rows(run)
        row = _chosen(run, rows, trial)
        if _copy(run, row, target):
            again = _rows(run).get(str(row["trial_id"]), {})
            if again.get("best_epoch") == row["best_epoch"]:
                return dict(row)
    raise RunProblem(f"{run.path}: the search replaces these weights just now; give the same command again")


def _rows(run: Run) -> Rows:
    """What the journal says of every trial that has a score, by its name; of living ones what their epochs say."""
    from tuner.runs.journal import load_study, own_trials

    if not run.journal.exists():
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for trial in own_trials(load_study(run.journal)).values():
        name = str(trial.user_attrs["trial_id"])
        row = None if trial.state.is_finished() else _living(run, trial)
        row = row or trial.user_attrs.get("row")
        if row is not None and row["value"] is not None and row["status"] != "failed":
            found[name] = row
    return found


def _living(run: Run, trial: "FrozenTrial") -> dict[str, Any] | None:
    """The row of a trial that has not ended, up to the epoch whose weights are there; None if there are none.

    An epoch may be told before its weights are written.
    """
    name, config = str(trial.user_attrs["trial_id"]), TrialConfig(**trial.user_attrs["config"])
    written = max(run.alive(name).glob(best_name(0).replace("00000", "*")), default=None)
    if written is None:
        return None
    told = {int(row["epoch"]): row for row in rows_of(run.epochs(name).drop(columns="trial_id"))}
    epochs = {epoch: row for epoch, row in told.items() if best_name(epoch) <= written.name}
    if not epochs:
        return None
    number = int(name.rpartition("-")[2])
    live = LiveTrial(name, number, trial.number, config, epochs=epochs)
    row = flat_row(row_of(live, str(run.record["metric"]), "stopped", "not ended yet"), vars(config))
    return row if best_name(int(row["best_epoch"])) == written.name else None


def _chosen(run: Run, rows: Rows, trial: str | None) -> Mapping[str, Any]:
    kept = {name: row for name, row in rows.items() if _has_weights(run, row)}
    ranked = sorted(kept, key=lambda name: _rank(run, kept[name]))
    if trial is not None and trial not in rows:
        raise UnknownName.of("trial", trial, tuple(rows), TRIALS_NAMED)
    if not kept:
        raise RunProblem(
            f"{run.path} keeps no weights of any trial yet; wait for the first one, or go on: tuner resume {run.path}"
        )
    if trial is not None and trial not in kept:
        raise RunProblem(
            f"trial {trial} has no kept weights; there are those of {some(ranked)}. Release one of these, or train it"
            f" anew: tuner export {run.path} --trial {trial}"
        )
    return kept[trial or _of_best_yaml(run, kept) or ranked[0]]


def _of_best_yaml(run: Run, kept: Rows) -> str | None:
    """The trial that the finished search, or a comparison after it, has chosen; None if it has no weights."""
    path = run.path / "best.yaml"
    if run.record.get("finished") is None or not path.is_file():
        return None
    name = str(read_yaml(path).get("trial"))
    return name if name in kept else None


def _rank(run: Run, row: Mapping[str, Any]) -> tuple[float, int]:
    return METRICS[str(run.record["metric"])].cost(float(row["value"])), int(row["number"])


def _has_weights(run: Run, row: Mapping[str, Any]) -> bool:
    return _of_living(run, row).exists() or run.weights(str(row["trial_id"])).exists()


def _of_living(run: Run, row: Mapping[str, Any]) -> Path:
    return run.alive(str(row["trial_id"])) / best_name(int(row["best_epoch"]))


def _copy(run: Run, row: Mapping[str, Any], target: Path) -> bool:
    """Copy the weights of the trial's best epoch to `target`; False if they have gone meanwhile."""
    name = str(row["trial_id"])
    try:
        if run.weights(name).exists() and not _of_living(run, row).exists():
            shutil.copyfile(run.weights(name), target)
            return True
        return take_best(run.alive(name), int(row["best_epoch"]), target)
    except FileNotFoundError:
        return False
