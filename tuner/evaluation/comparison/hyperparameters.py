"""What a search says of its hyperparameters: which matter, which ran into a wall, what stopping saved."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search_spaces import field_of
from trainables import strategies
from trainables.metrics import METRICS
from tuner.console.reporter import sampled
from tuner.evaluation.comparison.names import parameter_title
from tuner.runs.directory import Run, rows_of
from tuner.runs.journal import completed_trials, load_study, quiet_optuna
from tuner.runs.trial_table import UNJUDGED, trial_config

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from optuna.trial import FrozenTrial

__all__ = ["Importances", "Savings", "edge_warnings", "importances", "parameter_frame", "savings"]

FEWEST_TRIALS = 8
"""Completed trials under which importances are noise."""

EDGE = 0.05
"""Share of a range, in its own scale, that counts as its edge."""


OFF = {"weight_decay": 1e-6}
"""Up to this a logarithmic parameter does nothing that can be measured: what stands for zero where none can stand."""


@dataclass(frozen=True)
class Importances:
    """Share of the metric's variance that each parameter explains, largest first, or why it can't be told."""

    values: Mapping[str, float]
    trials: int
    problem: str | None


@dataclass(frozen=True)
class Savings:
    """Epochs that ran, of those that all trials would have taken to the end.

    `by_scheduler` were saved by stopping poor trials, `by_patience` by trials that no longer improved;
    `hours` is the time for all the saved ones at each trial's own speed. `cut_off` were ended by the time budget or by
    hand, which saves nothing: they might have been worth it.
    """

    spent: int
    full: int
    by_scheduler: int
    by_patience: int
    by_failure: int
    cut_off: int
    hours: float


ALL_FIXED = (
    "of the hyperparameters that Optuna proposed, none is in all completed trials and differs between them"
)
"""Why nothing can be said where every value that differs is one of some trials only, or was given."""


def importances(run: Run, seed: int = 0) -> Importances:
    """Optuna's importances (fANOVA; Hutter et al. 2014) over the completed trials of `run`.

    Parameters that only some trials have are not among them: their importance is not defined for the others.
    """
    import optuna

    done = completed_trials(load_study(run.journal))
    if len(done) < FEWEST_TRIALS:
        problem = (
            f"{len(done)} completed trials are too few to say how important each hyperparameter is; {FEWEST_TRIALS} are"
            " needed"
        )
        return Importances({}, len(done), problem)
    if len({trial.value for trial in done}) < 2:
        return Importances({}, len(done), "all completed trials have the same value")
    shared = set.intersection(*(set(trial.params) for trial in done))
    varied = sorted(name for name in shared if len({trial.params[name] for trial in done}) > 1)
    if not varied:
        return Importances({}, len(done), ALL_FIXED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        try:
            study = _study_of(done, str(run.record["metric"]))
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)
        except (ValueError, RuntimeError) as error:
            return Importances({}, len(done), f"Optuna can't tell: {error}")
    return Importances(dict(found), len(done), None)


def _study_of(trials: "list[FrozenTrial]", metric: str) -> "optuna.Study":
    """A study in memory of these trials alone."""
    import optuna

    with quiet_optuna():
        study = optuna.create_study(direction=METRICS[metric].direction)
    study.add_trials(trials)
    return study


def edge_warnings(run: Run) -> list[str]:
    """One sentence for every parameter whose best value lies at the edge of its range."""
    done = completed_trials(load_study(run.journal))
    if not done:
        return []
    metric = METRICS[str(run.record["metric"])]
    best, found = min(done, key=lambda trial: metric.cost(float(trial.value or 0.0))), []
    for name, distribution in best.distributions.items():
        low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
        values = {trial.params[name] for trial in done if name in trial.params}
        if low is None or high is None or low == high or len(values) < 3:
            continue
        value = best.params[name]
        place = _place(value, low, high, bool(getattr(distribution, "log", False)))
        side = "lower" if place <= EDGE else "upper" if place >= 1 - EDGE else None
        # Where a parameter is switched off is no wall that hides better values.
        if side and not (side == "lower" and min(low, value) <= OFF.get(field_of(name), 0.0)):
            found.append(
                f"the best {parameter_title(name)}, {value:.4g}, lies at the {side} edge of its range {low:.4g} to"
                f" {high:.4g}; better values may lie beyond: widen the range"
            )
    return found


def savings(run: Run) -> Savings:
    """What stopping early saved in `run`, against every trial going on to its last epoch; heads of the probe apart."""
    spent = full = scheduler = patience = failure = cut = 0
    hours = 0.0
    for row in sampled(rows_of(run.trials())):
        epochs, longest = int(row["epochs"]), strategies.max_epochs(trial_config(row))
        left = max(0, longest - epochs)
        spent, full = spent + epochs, full + epochs + left
        if row["status"] == "stopped":
            if row["reason"] in UNJUDGED:
                cut += left
                continue
            scheduler += left
        elif row["status"] == "failed":
            failure += left
        else:
            patience += left
        if epochs and row["status"] != "failed":
            hours += left * float(row["seconds"]) / epochs / 3600
    return Savings(spent, full, scheduler, patience, failure, cut, hours)


def parameter_frame(run: Run) -> "pd.DataFrame":
    """The varied parameters of the finished trials beside their `value` and `status`, one row a trial."""
    rows: list[dict[str, Any]] = []
    for row in rows_of(run.trials()):
        if row["status"] != "failed" and row["value"] is not None and math.isfinite(row["value"]):
            config = trial_config(row)
            rows.append({"value": row["value"], "status": row["status"], **vars(config)})
    import pandas as pd

    frame = pd.DataFrame(rows)
    settings = [name for name in frame.columns if name not in ("value", "status", "seed", "max_epochs")]
    varied = [name for name in settings if frame[name].nunique(dropna=True) > 1]
    return frame[["value", "status", *varied]] if rows else frame


def _place(value: float, low: float, high: float, log: bool) -> float:
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)
