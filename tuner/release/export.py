"""A trial of a run -> a best.yaml that can be sent to somebody: `tuner export`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from trainables.errors import RunProblem, UnknownName
from trainables.metrics import METRICS
from trainables.wording import TRIALS_NAMED
from tuner.evaluation.comparison.standard_error import validation_error
from tuner.runs.best import Best
from tuner.runs.best_file import read_best, save_best
from tuner.runs.best_trial import best_of, is_estimate
from tuner.runs.directory import Run, rows_of
from tuner.runs.ensemble import Member
from tuner.runs.paths import is_taken, try_target
from tuner.runs.trial_table import trial_config
from tuner.tuning.estimates import best_row

__all__ = ["export"]


def export(run_dir: Path, trial: str | None = None, out: Path = Path("best.yaml")) -> Best:
    """Write `trial` of a run (by default its best) to `out`, with its split beside it; what was written.

    Raises UnknownName for a trial that the run does not have, RunProblem if none has a score or `out` is
    taken.
    """
    run = Run.open(run_dir)
    chosen, rows = best_row(run), _ranked(run)
    if chosen is None:
        raise RunProblem(f"{run_dir} has no trial with a score yet; wait for one, or search again")
    if trial is not None and trial not in (names := [str(row["trial_id"]) for row in rows]):
        raise UnknownName.of("trial", trial, names, TRIALS_NAMED)
    row = chosen if trial is None else next(row for row in rows if row["trial_id"] == trial)
    beside = out.with_name(f"{out.stem}.split.parquet")
    for path in (out, beside):
        if is_taken(path):
            raise RunProblem(f"{path} exists already; choose another --out")
        try_target(path, "--out")
    metric = str(run.record["metric"])
    best = best_of(run, row, split_file=beside.name)
    if not is_estimate(best.expected.spread):
        spread = validation_error(run, str(row["trial_id"]), trial_config(row), metric)
        best = best_of(run, row, split_file=beside.name, spread=spread)
    best = replace(best, ensemble=_ensemble(run))
    save_best(best, out, run.split())
    return best


def _ensemble(run: Run) -> tuple[Member, ...]:
    """The members of the ensemble that a comparison found in the run, none without one."""
    path = run.path / "best.yaml"
    return read_best(path).ensemble if path.is_file() else ()


def _ranked(run: Run) -> list[dict[str, Any]]:
    """Rows of the trials that have a score and did not fail, the best first."""
    trials = run.trials()
    scored = trials[trials["value"].notna() & (trials["status"] != "failed")]
    return sorted(rows_of(scored), key=METRICS[str(run.record["metric"])].place)
