"""The columns of `epochs/` and `trials.parquet`, and what a row of a trial says."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from trainables.config import EPOCH_COLUMNS, FIELDS, MEASURED, TrialConfig, plain_type

if TYPE_CHECKING:
    import pyarrow as pa

STATUSES = ("completed", "stopped", "failed")
"""completed: ran to its end or out of patience. stopped: by ASHA, by hand or, until it goes on, by the time budget.
failed: diverged or raised."""

BUDGET_OVER, STOPPED_BY_HAND = "time budget", "stopped by hand"
ENDED_ELSEWHERE = "ended by another program"
"""The reason of a trial that somebody else told the end of, through Optuna's journal."""

UNJUDGED = (BUDGET_OVER, STOPPED_BY_HAND, ENDED_ELSEWHERE)
"""Reasons of trials that were stopped though no rung had judged them."""

HYPERPARAMETERS = tuple(name for name in FIELDS if name not in ("model", "strategy"))
"""One column of `trials.parquet` each, null where it had no meaning."""


@dataclass(frozen=True)
class TrialRow:
    """One row of `trials.parquet`, but for the hyperparameters, which follow from the config.

    `value` is the chosen metric at `best_epoch`, as measured; `seconds` is time spent training and validating.
    `estimate` is the loss to be expected on new images, without the luck of the validation images, with its standard
    error `estimate_error`: what the best trial is chosen by. It depends on the other trials of the table, and is null
    where another metric than val_loss is searched by and where a trial's losses of the images were not kept.
    The `applied_*` columns say what was in force, read off the live optimizer, loss and batches: learning rates as
    "group=rate" at first and last epoch, the criterion, the sampler, how a step was launched. `source` says where the
    configuration came from: "earlier run", "first", "enqueued", "prior" or the sampler's name; null in runs of earlier
    versions.
    """

    trial_id: str
    number: int
    status: str
    reason: str
    best_epoch: int | None = None
    epochs: int = 0
    value: float | None = None
    estimate: float | None = None
    estimate_error: float | None = None
    metrics: Mapping[str, float | None] | None = None
    seconds: float = 0.0
    error: str | None = None
    weights: str | None = None
    trainable_first: int | None = None
    trainable_last: int | None = None
    applied_learning_rates_first: str | None = None
    applied_learning_rates_last: str | None = None
    applied_loss: str | None = None
    applied_sampler: str | None = None
    applied_batch: str | None = None
    applied_step: str | None = None
    retries: int = 0
    source: str | None = None


def epochs_schema() -> "pa.Schema":
    """Columns of `epochs/`: trial_id, then those of an epoch."""
    import pyarrow as pa

    return pa.schema([("trial_id", pa.string()), *_columns(EPOCH_COLUMNS)])


def trials_schema() -> "pa.Schema":
    """Columns of `trials.parquet`, in their order: TrialRow's, among them the config's and `MEASURED`."""
    import pyarrow as pa

    measured = {name: EPOCH_COLUMNS[name] for name in MEASURED}
    columns: list[tuple[str, pa.DataType]] = []
    for field in fields(TrialRow):
        columns += _columns(measured if field.name == "metrics" else {field.name: plain_type(field)})
        if field.name == "number":
            columns += _columns({name: plain_type(FIELDS[name]) for name in ("model", "strategy")})
        elif field.name == "error":
            columns += _columns({name: plain_type(FIELDS[name]) for name in HYPERPARAMETERS})
    return pa.schema(columns)


def _columns(chosen: Mapping[str, type]) -> "list[tuple[str, pa.DataType]]":
    """Name and Arrow's type of each column; any may hold nulls."""
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    return [(name, kinds[kind]) for name, kind in chosen.items()]


def flat_row(row: TrialRow, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The row of `trials.parquet` for `row` and the trial's resolved `parameters`."""
    flat = {f.name: getattr(row, f.name) for f in fields(row) if f.name != "metrics"}
    return {**{name: parameters.get(name) for name in FIELDS}, **dict(row.metrics or {}), **flat}


def trial_config(row: Mapping[str, Any]) -> TrialConfig:
    """The config of a row of `trials.parquet`; raises InvalidValue if the row is no trial."""
    parameters: dict[str, Any] = {}
    for name, field in FIELDS.items():
        # A run of an earlier version lacks the column of a newer setting, and was trained with its default.
        value = row.get(name)
        # A column of whole numbers that holds nulls comes back from pandas as floats, null being NaN.
        if value is None or value != value:
            continue
        parameters[name] = plain_type(field)(value)
    return TrialConfig.resolve(parameters)
