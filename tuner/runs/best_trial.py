"""A trial of a run as a Best: what best.yaml says of it, and how sure its score is from its epochs alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trainables.config import TrialConfig
from trainables.data.deep import scale_from
from trainables.errors import RunProblem
from trainables.metrics import METRICS
from tuner.runs.best import Best, Data, Expected, SplitSource
from tuner.runs.best_file import save_best
from tuner.runs.directory import Run, fit_of
from tuner.runs.ensemble import Member
from tuner.runs.trial_table import trial_config

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "best_of",
    "by_all_images",
    "is_estimate",
    "member_of",
    "part_counts",
    "value_words",
    "write_best",
]

ESTIMATED = (
    "standard error of the value, which is estimated for new images: the luck of the choice is taken off"
)

UNSEEN = "answered by a model that has not seen its group"

NEIGHBOURS = 2
"""Epochs on either side of the best one whose scores tell how much an epoch more or less matters."""


def is_estimate(spread: str) -> bool:
    """Whether an expected value of that `spread` is one for new images, without the luck of having been chosen."""
    return spread == ESTIMATED or spread.endswith(UNSEEN)


def value_words(expected: Expected) -> str:
    """The expected value as a sentence's beginning: its metric, and whether validation measured it."""
    where = "is expected on new images" if is_estimate(expected.spread) else "on the validation images"
    return f"{METRICS[expected.metric].title} {expected.value:.4f} {where}"


def write_best(run: Run, row: Mapping[str, Any], members: Sequence[Member] = ()) -> None:
    """Write `best.yaml` of a run for the trial of `row` of `trials.parquet`, and the `members` of a better ensemble."""
    save_best(replace(best_of(run, row), ensemble=tuple(members)), run.path / "best.yaml")


def best_of(
    run: Run,
    row: Mapping[str, Any],
    *,
    split_file: str = "split.parquet",
    spread: tuple[float | None, str] | None = None,
) -> Best:
    """The trial of `row` of `trials.parquet` as a Best.

    The expected value is the trial's estimate, with its standard error, where the row has one, else its value; then
    `spread`, a standard error and what it is of, is that of neighbouring epochs unless given. Raises RunProblem for a
    trial without a score.
    """
    from trainables.models import source

    record = run.record
    config = trial_config(row)
    epochs = run.epochs(str(row["trial_id"]))
    expected = _expected(run, row, record, epochs, spread)
    origin = source(config.model)
    data = record["data"]
    return Best(
        trial=str(row["trial_id"]),
        run=str(run.path.resolve()),
        config=config,
        expected=expected,
        image_size=int(record["image_size"]),
        fit=fit_of(record),
        weights=str(record["weights"]),
        weights_files=record.get("weights_files") or {},
        precision=str(record["precision"]),
        run_seed=int(record["seed"]),
        mean=origin.mean,
        std=origin.std,
        classes=tuple(data["classes"]),
        data=_data(data),
        split=_split_source(run, split_file),
        versions=dict(record["versions"]),
        plateau_reduced_after=_reductions(config, epochs, expected.epoch),
    )


def _data(data: Mapping[str, Any]) -> Data:
    return Data(
        data["folder"],
        bool(data["sample"]),
        data["fingerprint"],
        dict(data["classes"]),
        data.get("labels"),
        tuple(data.get("left_out") or ()),
        scale_from(data.get("scale")),
    )


def _split_source(run: Run, file: str) -> SplitSource:
    record = run.record
    data = record["data"]
    low, middle, high = data["fractions"]
    return SplitSource(
        fingerprint=data["split_fingerprint"],
        images=part_counts(run.split()),
        file=file,
        fractions=(low, middle, high),
        seed=int(record["seed"]),
        groups=data["groups"],
        group_regex=data["group_regex"],
    )


def member_of(best: Best, count: int) -> Member:
    """The trial of `best` as a member of an ensemble that takes it `count` times."""
    return Member(best.trial, count, best.expected.epoch, best.config, best.plateau_reduced_after)


def part_counts(split: "pd.DataFrame") -> dict[str, int]:
    """Images of `split` by part."""
    return {part: int((split["split"] == part).sum()) for part in ("train", "val", "test")}


def by_all_images(run: Run, trial_id: str, epoch: Any) -> tuple[float, tuple[float | None, str]] | None:
    """What is to be expected of a trial by all images that judged it, its error, and what that is of.

    None where `epoch` of the trial `trial_id` was not judged by folds.
    """
    table = run.judged()
    if table is None:
        return None
    own = table[(table["trial_id"] == trial_id) & (table["epoch"] == epoch)]
    if not len(own):
        return None
    found = own.iloc[0]
    error = float(found["error"]) if found["error"] is not None and found["error"] == found["error"] else None
    words = (
        f"standard error over {int(found['groups'])} groups of {int(found['images'])} images, each {UNSEEN}"
    )
    return float(found["expected"]), (error, words)


def _expected(
    run: Run,
    row: Mapping[str, Any],
    record: Mapping[str, Any],
    epochs: "pd.DataFrame",
    spread: tuple[float | None, str] | None,
) -> Expected:
    value, epoch = row["value"], row["best_epoch"]
    if value is None or value != value or epoch is None or epoch != epoch:
        raise RunProblem(f"trial {row['trial_id']} has no score ({row['reason']}); choose another")
    metric = str(record["metric"])
    estimate = row.get("estimate")
    judged = by_all_images(run, str(row["trial_id"]), epoch) if spread is None else None
    if judged is not None:
        value, (error, how) = judged
    elif estimate is not None and estimate == estimate:
        value, error, how = float(estimate), float(row["estimate_error"]), ESTIMATED
    else:
        error, how = spread or _epoch_spread(epochs, metric, int(epoch))
    measured = {name: row[name] for name in row if name.startswith("val_") and row[name] is not None}
    scores = {name: float(value) for name, value in measured.items() if value == value}
    return Expected(metric, float(value), int(epoch), error, how, scores, record.get("positive"))


def _epoch_spread(epochs: "pd.DataFrame", metric: str, best: int) -> tuple[float | None, str]:
    near = epochs[(epochs["epoch"] - best).abs() <= NEIGHBOURS]
    if len(near) < 2:
        return None, "unknown: the trial has one epoch only"
    first, last = int(near["epoch"].min()), int(near["epoch"].max())
    error = float(near[metric].std(ddof=1))
    if not math.isfinite(error):
        return None, "unknown: an epoch beside the best has no score"
    return error, f"standard deviation over epochs {first} to {last} of the trial"


def _reductions(config: TrialConfig, epochs: "pd.DataFrame", best: int) -> tuple[int, ...]:
    """Epochs before `best` after which a plateau schedule lowered the head's rate."""
    if config.schedule != "plateau":
        return ()
    rates = dict(zip(epochs["epoch"].tolist(), epochs["learning_rate"].tolist(), strict=True))
    return tuple(
        epoch for epoch in sorted(rates) if epoch < best and rates.get(epoch + 1, math.inf) < rates[epoch]
    )
