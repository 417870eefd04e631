"""best.yaml: the best configuration with all that is needed to train it again."""

from collections.abc import Mapping
from typing import Any

from trainables.config import FIELDS
from tuner.results import Run


def write_best(run: Run, row: Mapping[str, Any]) -> None:
    """Write `best.yaml` for the trial of `row` of `trials.parquet`."""
    run.write_yaml("best.yaml", best_record(run, row))


def best_record(run: Run, row: Mapping[str, Any]) -> dict[str, Any]:
    """What `best.yaml` holds: the trial, its expected scores, every setting, data, split, weights, versions."""
    record = run.record
    return {
        "trial": row["trial_id"],
        "expected": {
            "metric": record["metric"],
            "value": row["value"],
            "epoch": row["best_epoch"],
            **{name: row[name] for name in row if name.startswith("val_")},
        },
        "config": {name: row[name] for name in FIELDS if row[name] is not None},
        "image_size": record["image_size"],
        "weights": record["weights"],
        "precision": record["precision"],
        "run_seed": record["seed"],
        "classes": list(record["data"]["classes"]),
        "data": record["data"],
        "run": str(run.path),
        "versions": record["versions"],
    }
