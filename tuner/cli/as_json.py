"""`--json`: what a command found as one JSON document on standard output, for programs.

Keys are the tables' column names; numbers are numbers, and what is missing, NaN or infinite is null. Words for a person
go to standard error. Every key is named in `KEYS`, from which the reference is made and with which a test compares
what the commands print. A new command that takes `--json` gets a function here and its keys there.
"""

import dataclasses
import datetime
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pyarrow as pa

    from tuner.cli.catalogue import SpaceView
    from tuner.dataset.inspection.inspect import Inspection
    from tuner.evaluation.comparison.evidence import Comparison, FoldsFound
    from tuner.planning.plan import Plan
    from tuner.release.predictions import Prediction
    from tuner.runs.heartbeat import Driver

__all__ = ["json_option", "plain", "print_json"]


def json_option(command: Any) -> Any:
    """The option `--json`, which a command gets as `as_json`."""
    text = "Print one JSON document for programs on standard output; messages go to standard error."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def print_json(document: Any) -> None:
    """Print `document` on one line, in ASCII, so that no terminal's encoding matters."""
    click.echo(json.dumps(plain(document), allow_nan=False))


def plain(value: Any) -> Any:
    """`value` in JSON's own types: NaN, infinities and pandas' NA are null, paths and times are texts.

    >>> import numpy as np
    >>> plain({"value": np.float64("nan"), "epoch": np.int64(3), "path": Path("a"), "size": (1, 2)})
    {'value': None, 'epoch': 3, 'path': 'a', 'size': [1, 2]}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(content) for key, content in value.items()}
    if isinstance(value, (datetime.date, datetime.datetime)):
        return None if value != value else value.isoformat()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Iterable):
        return [plain(content) for content in value]
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)


def inspection(found: "Inspection") -> dict[str, Any]:
    """`tuner inspect`."""
    from trainables.data.deep import scale_record
    from tuner.dataset.judges import in_option

    document = plain(found)
    document["classes"] = [
        {"class": row.label, "images": row.images, "groups": row.groups, "share": row.share}
        for row in found.classes
    ]
    document["scale"] = scale_record(found.scale)
    if found.judges is not None and found.judges.advised is not None:
        shares, groups = found.judges.advised
        document["judges"]["advised"] = {"split": in_option(shares), "groups": groups}
    for row in document["photographed"]:
        row["class"] = row.pop("label")
    for name in ("corrupt", "passed_over"):
        document[name] = [{"path": path, "reason": reason} for path, reason in getattr(found, name)]
    for name in ("duplicates_within", "duplicates_across", "near_copies"):
        copies = getattr(found, name)
        examples = [{"path": second, "same_as": first} for first, second in copies.examples]
        document[name] = {"count": copies.count, "examples": examples}
    return dict(document)


def plan(found: "Plan") -> dict[str, Any]:
    """`tuner plan`."""
    document = plain(found)
    document["combinations"] = [
        {**plain(row.cost), **{k: v for k, v in plain(row).items() if k != "cost"}}
        for row in found.combinations
    ]
    for name in ("epochs", "seconds"):
        document[name] = dict(zip(("low", "middle", "high"), getattr(found, name), strict=True))
    document["images"] = dict(zip(("train", "val"), found.images, strict=True))
    return dict(document)


def spaces() -> dict[str, Any]:
    """`tuner spaces`."""
    from tuner.cli import catalogue

    rows = [
        {"space": one.name, "summary": one.summary, "grid": one.grid, **_defaults(one.defaults)}
        for one in catalogue.spaces()
    ]
    return {"spaces": rows}


def space(reference: str) -> dict[str, Any]:
    """`tuner spaces NAME`."""
    from tuner.cli import catalogue

    found = catalogue.space(reference)
    return {
        "space": found.space.name,
        "summary": found.space.summary,
        "grid": found.space.grid,
        "samples": found.samples,
        "max_epochs": found.max_epochs,
        "parameters": [_parameter(name, found) for name in found.parameters],
        "fixed": found.fixed,
        "first_trials": found.first,
    }


def _defaults(defaults: Mapping[str, int]) -> dict[str, Any]:
    return {name: defaults.get(name) for name in ("samples", "max_epochs")}


def _parameter(name: str, found: "SpaceView") -> dict[str, Any]:
    from search_spaces.priors import entry_of

    distribution = found.parameters[name]
    row: dict[str, Any] = {"parameter": name, "choices": getattr(distribution, "choices", None)}
    row |= {key: getattr(distribution, key, None) for key in ("low", "high", "step", "log")}
    return {**row, "only_with": found.conditions[name] or None, "prior": entry_of(found.priors, name)}


def models() -> dict[str, Any]:
    """`tuner models`."""
    from tuner.cli import catalogue

    return {"models": catalogue.models()}


def model(name: str) -> dict[str, Any]:
    """`tuner models NAME`."""
    from tuner.cli import catalogue

    found = catalogue.model(name)
    return {
        "model": name,
        "classes": catalogue.CLASSES,
        "image_size": found.image_size,
        "mean": found.built.mean,
        "std": found.built.std,
        **catalogue.known_row(found.known),
        "stages": [*found.stages, *found.heads],
        "strategies": found.strategies,
    }


def status(path: Path) -> dict[str, Any]:
    """`tuner status RUN`."""
    import pyarrow as pa

    from tuner.runs.trial_table import STATUSES, trials_schema
    from tuner.tracking.leaderboard import remarks
    from tuner.tracking.status import read_status

    found = read_status(path)
    metric = str(found.record["metric"])
    counts = {name: sum(row["status"] == name for row in found.ended) for name in STATUSES}
    return {
        "run": found.run.path,
        "state": found.state,
        "metric": metric,
        "samples": found.record["settings"]["samples"],
        "running": len(found.live),
        **counts,
        "driver": None if found.driver is None else _driver(found.driver),
        "live": [
            {"trial_id": name, "max_epochs": found.max_epochs[name], **_last(epochs)}
            for name, epochs in found.live.items()
        ],
        "unsent": found.unsent,
        "remarks": remarks(dict(found.record)),
        "trials": _ranked(pa.Table.from_pylist(found.rows, schema=trials_schema()), metric),
    }


def _driver(driver: "Driver") -> dict[str, Any]:
    """What is told of the process that searches."""
    names = ("host", "pid", "since", "seen", "pages", "doing")
    return {name: plain(getattr(driver, name)) for name in names}


def _last(epochs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of the last of `epochs`, all null where there is none yet."""
    from trainables.config import EPOCH_COLUMNS

    last = epochs[-1] if epochs else {}
    return {name: last.get(name) for name in EPOCH_COLUMNS}


def leaderboard(path: Path, most: int) -> dict[str, Any]:
    """`tuner leaderboard RUN`."""
    import pyarrow as pa

    from tuner.runs.directory import Run
    from tuner.runs.trial_table import trials_schema
    from tuner.tracking.leaderboard import remarks

    run = Run.open(path)
    record = run.record
    # Through Arrow, since pandas holds whole numbers beside a null as floats.
    trials = pa.Table.from_pandas(run.trials(), trials_schema(), preserve_index=False)
    return {
        "run": run.path,
        "metric": record["metric"],
        "samples": record["settings"]["samples"],
        "remarks": remarks(record),
        "trials": _ranked(trials, str(record["metric"]))[:most],
    }


def _ranked(rows: "pa.Table", metric: str) -> list[dict[str, Any]]:
    """Rows of `trials.parquet`, the best first, those without a score last."""
    from trainables.metrics import METRICS

    return sorted(rows.to_pylist(), key=METRICS[metric].place)


def comparison(found: "Comparison") -> dict[str, Any]:
    """`tuner compare RUN`."""
    from tuner.runs.directory import rows_of

    rows = [{**row, "confusion": json.loads(row["confusion"])} for row in rows_of(found.table)]
    return {
        "conclusion": found.conclusion,
        "warnings": found.warnings,
        "report": found.report,
        "table": rows,
        "pairs": rows_of(found.pairs),
        "folds": None if found.folds is None else _folds(found.folds),
    }


def _folds(found: "FoldsFound") -> dict[str, Any]:
    from tuner.runs.directory import rows_of

    return {
        "count": found.count,
        "conclusion": found.conclusion,
        "remarks": found.remarks,
        "table": [{**row, "confusion": json.loads(row["confusion"])} for row in rows_of(found.table)],
        "pairs": rows_of(found.pairs),
    }


def predictions(answers: "Sequence[Prediction]", classes: Sequence[str]) -> dict[str, Any]:
    """`tuner predict`."""
    from tuner.release.predictions import document

    return document(answers, classes)
