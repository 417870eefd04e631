"""The row of `trials.parquet` that a trial's epochs make."""

import dataclasses
from typing import TYPE_CHECKING, Any

from trainables.config import MEASURED
from trainables.metrics import METRICS
from trainables.strategies import first_result
from tuner.runs.trial import LiveTrial
from tuner.runs.trial_table import TrialRow

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["epochs_by_trial", "row_of"]


def row_of(
    trial: LiveTrial,
    metric: str,
    status: str,
    reason: str,
    error: str | None = None,
    *,
    weights: str = "",
    best_epoch: int | None = None,
) -> TrialRow:
    """What `trial` has reached; its value is the best epoch's `metric`, null before the first epoch.

    Unless `best_epoch` is given the best epoch is that with the best value, of those that are results of its strategy.
    """
    base = TrialRow(
        trial.trial_id,
        trial.number,
        status,
        reason,
        error=error,
        weights=weights,
        retries=trial.retries,
        source=trial.source,
    )
    if not trial.epochs:
        return base
    ordered = [trial.epochs[number] for number in sorted(trial.epochs)]
    results = ordered[min(first_result(trial.config.strategy), len(ordered)) - 1 :]
    best = min(results, key=lambda epoch: METRICS[metric].cost(float(epoch[metric])))
    best = trial.epochs[best_epoch] if best_epoch is not None else best
    return dataclasses.replace(
        base,
        best_epoch=int(best["epoch"]),
        epochs=len(ordered),
        value=float(best[metric]),
        metrics={name: best.get(name) for name in MEASURED},
        seconds=sum(float(epoch["epoch_seconds"]) for epoch in ordered),
        trainable_first=int(ordered[0]["trainable_parameters"]),
        trainable_last=int(ordered[-1]["trainable_parameters"]),
        applied_learning_rates_first=trial.applied.get("learning_rates_first"),
        applied_learning_rates_last=trial.applied.get("learning_rates_last"),
        applied_loss=trial.applied.get("loss"),
        applied_sampler=trial.applied.get("sampler"),
        applied_batch=trial.applied.get("batch"),
        applied_step=trial.applied.get("step"),
    )


def epochs_by_trial(epochs: "pd.DataFrame") -> dict[str, dict[int, dict[str, Any]]]:
    """The rows of `epochs`, as `Run.epochs` gives them, by trial and epoch."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in epochs.to_dict("records"):
        values = {str(name): value for name, value in row.items() if name != "trial_id"}
        found.setdefault(str(row["trial_id"]), {})[int(row["epoch"])] = values
    return found
