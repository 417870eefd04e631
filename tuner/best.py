"""best.yaml: the best configuration with all that is needed to train it again, and to judge what comes of it."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.config import FIELDS, TrialConfig
from trainables.errors import RunProblem
from tuner.results import Run, write_atomically

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Best", "Data", "Expected", "SplitSource", "best_of", "read_best", "to_record", "write_best"]

FORMAT = 1

NEIGHBOURS = 2
"""Epochs on either side of the best one whose scores tell how much an epoch more or less matters."""

_HEADER = """\
# The best configuration of a tuner search; train it with: tuner retrain {name}
# expected.value is the best of many tries on the validation images, so expect a little less on new ones.
"""


@dataclass(frozen=True)
class Expected:
    """The score on the validation images at the trial's best `epoch`, and its spread.

    `standard_error` is what `spread` says it is; None where there is nothing to take it from.
    """

    metric: str
    value: float
    epoch: int
    standard_error: float | None
    spread: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Data:
    """The images of the search: their folder, the fingerprint of their content, images by class."""

    folder: str
    sample: bool
    fingerprint: str
    images: Mapping[str, int]


@dataclass(frozen=True)
class SplitSource:
    """Which image is where: in `file`, beside best.yaml, or made again from the rest.

    `images` are counted by part; `fractions` are the shares of train, val and test; `groups` is a CSV file.
    """

    fingerprint: str
    images: Mapping[str, int]
    file: str
    fractions: tuple[float, float, float]
    seed: int
    groups: str | None
    group_regex: str | None


@dataclass(frozen=True)
class Best:
    """Everything that best.yaml says.

    `plateau_reduced_after` are the epochs after which a plateau schedule lowered the head's rate. `mean` and
    `std` are what images are normalised with, for values in [0, 1]. `run_seed` gave the augmentation.
    """

    trial: str
    run: str
    config: TrialConfig
    expected: Expected
    image_size: int
    weights: str
    precision: str
    run_seed: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    classes: tuple[str, ...]
    data: Data
    split: SplitSource
    versions: Mapping[str, str]
    plateau_reduced_after: tuple[int, ...] = ()


def write_best(run: Run, row: Mapping[str, Any]) -> None:
    """Write `best.yaml` of a run for the trial of `row` of `trials.parquet`."""
    save_best(best_of(run, row), run.path / "best.yaml")


def save_best(best: Best, path: Path, split: "pd.DataFrame | None" = None) -> None:
    """Write `best` to `path`; `split`, if given, to the file that it names, beside `path`."""
    import yaml

    text = yaml.safe_dump(to_record(best), sort_keys=False, allow_unicode=True, width=100)
    header = _HEADER.format(name=path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if split is not None:
        target = path.with_name(best.split.file)
        write_atomically(target, lambda file: split.to_parquet(file, index=False))
    write_atomically(path, lambda file: file.write_text(header + text, encoding="utf-8"))


def best_of(
    run: Run,
    row: Mapping[str, Any],
    *,
    split_file: str = "split.parquet",
    spread: tuple[float | None, str] | None = None,
) -> Best:
    """The trial of `row` of `trials.parquet` as a Best.

    `spread`, a standard error and what it is of, is that of neighbouring epochs unless given. Raises
    RunProblem for a trial without a score.
    """
    from trainables.models import source

    record = run.record
    config = config_of(row)
    epochs = run.epochs(str(row["trial_id"]))
    expected = _expected(row, str(record["metric"]), epochs, spread)
    origin = source(config.model)
    data = record["data"]
    low, middle, high = data["fractions"]
    return Best(
        trial=str(row["trial_id"]),
        run=str(run.path.resolve()),
        config=config,
        expected=expected,
        image_size=int(record["image_size"]),
        weights=str(record["weights"]),
        precision=str(record["precision"]),
        run_seed=int(record["seed"]),
        mean=origin.mean,
        std=origin.std,
        classes=tuple(data["classes"]),
        data=Data(data["folder"], bool(data["sample"]), data["fingerprint"], dict(data["classes"])),
        split=SplitSource(
            fingerprint=data["split_fingerprint"],
            images=part_counts(run.split()),
            file=split_file,
            fractions=(low, middle, high),
            seed=int(record["seed"]),
            groups=data["groups"],
            group_regex=data["group_regex"],
        ),
        versions=dict(record["versions"]),
        plateau_reduced_after=_reductions(config, epochs, expected.epoch),
    )


def part_counts(split: "pd.DataFrame") -> dict[str, int]:
    """Images of `split` by part."""
    return {part: int((split["split"] == part).sum()) for part in ("train", "val", "test")}


def config_of(row: Mapping[str, Any]) -> TrialConfig:
    """The config of a row of `trials.parquet`, with or without pandas' NaN for null."""
    parameters: dict[str, Any] = {}
    for name, field in FIELDS.items():
        value = row[name]
        if value is None or value != value:
            continue
        parameters[name] = int(value) if field.type in (int, int | None) else value
    return TrialConfig.resolve(parameters)


def to_record(best: Best) -> dict[str, Any]:
    """What best.yaml holds, in plain values; `read_best` turns it back."""
    config = {name: value for name, value in dataclasses.asdict(best.config).items() if value is not None}
    expected = {f.name: getattr(best.expected, f.name) for f in dataclasses.fields(Expected)}
    record: dict[str, Any] = {
        "format": FORMAT,
        "trial": best.trial,
        "run": best.run,
        "expected": {**expected, "scores": dict(best.expected.scores)},
        "config": config,
        "image_size": best.image_size,
        "weights": best.weights,
        "precision": best.precision,
        "run_seed": best.run_seed,
        "normalisation": {"mean": list(best.mean), "std": list(best.std)},
        "classes": list(best.classes),
        "data": {**dataclasses.asdict(best.data), "images": dict(best.data.images)},
        "split": {**dataclasses.asdict(best.split), "fractions": list(best.split.fractions)},
        "versions": dict(best.versions),
    }
    if best.config.schedule == "plateau":
        record["plateau_reduced_after"] = list(best.plateau_reduced_after)
    return record


def read_best(path: Path) -> Best:
    """The Best in a best.yaml; raises UserMistake, naming key, value and remedy, if an edit spoiled it."""
    from tuner.best_reading import from_record

    return from_record(path)


def _expected(
    row: Mapping[str, Any], metric: str, epochs: "pd.DataFrame", spread: tuple[float | None, str] | None
) -> Expected:
    value, epoch = row["value"], row["best_epoch"]
    if value is None or value != value or epoch is None or epoch != epoch:
        raise RunProblem(f"trial {row['trial_id']} has no score ({row['reason']}); choose another")
    error, how = spread or _epoch_spread(epochs, metric, int(epoch))
    scores = {name: float(row[name]) for name in row if name.startswith("val_") and row[name] == row[name]}
    return Expected(metric, float(value), int(epoch), error, how, scores)


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
