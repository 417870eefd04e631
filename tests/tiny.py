"""A tiny search for tests: a space file, a run directory, a prepared run, synthetic epochs."""

from pathlib import Path
from typing import Any

import search_spaces
from trainables.config import EpochMetrics, RunContext
from tuner.runs.directory import Run
from tuner.tuning.prepare import Prepared
from tuner.tuning.proposals import Proposals
from tuner.tuning.rungs import Steps
from tuner.tuning.trial_store import TrialStore

SPACE = '''"""A tiny space."""


def space(trial):
    trial.suggest_categorical("strategy", ["full", "feature_extractor"])
    trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    return {"model": "mobilenet_v2", "batch_size": 8}
'''


def write_space(folder: Path, text: str = SPACE, name: str = "tiny") -> Path:
    """A space file."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


def prepared(folder: Path, space: Path, **changes: Any) -> Prepared:
    """A run that can start, with a run directory but without images."""
    record = {"weights": "none", "metric": changes.get("metric", "val_loss"), "seed": 0, "image_size": 32}
    data = {"sample": False, "groups": None, "group_regex": None, "classes": {"a": 1, "b": 1}}
    path = folder / "run"
    run = Run(path) if path.exists() else Run.create(path, {**record, "data": data, "versions": {}})
    values: dict[str, Any] = {
        "run": run,
        "space": search_spaces.load(str(space)),
        "overrides": {"max_epochs": 4},
        "allowed": {},
        "samples": 6,
        "max_epochs": 4,
        "grace_period": 1,
        "reduction_factor": 3.0,
        "sampler": "tpe",
        "keep": 2,
        "max_failures": 2,
        "concurrent": 1,
        "cpus_per_trial": 1.0,
        "gpus_per_trial": None,
        "time_budget_s": None,
        "address": None,
    }
    shared = {name: changes.pop(name) for name in changes.keys() & {"metric", "seed", "storage"}}
    context = RunContext(
        str(run.path.resolve()),
        str(folder / "no-images"),
        ("a", "b"),
        image_size=32,
        weights="none",
        precision="fp32",
        **{"metric": "val_loss", "seed": 0, **shared},
    )
    return Prepared(**({"context": context} | values | changes))


def store(
    folder: Path, space: Path, *, steps: Steps | None = None, notes: list[str] | None = None, **changes: Any
) -> TrialStore:
    """The book of such a run; what it wants a person to know goes to `notes`."""
    given = prepared(folder, space, **changes)
    earlier = tuple(one["parameters"] for one in given.earlier)
    proposals = Proposals(
        given.space, given.overrides, given.allowed, given.sampler, given.context.seed, given.prior, earlier
    )
    note = (notes if notes is not None else []).append
    return TrialStore(
        given.run, proposals, given.context.metric, given.samples, given.keep, steps=steps, note=note
    )


def epoch(number: int, value: float, **changes: Any) -> dict[str, Any]:
    """One epoch's result as a trial reports it."""
    metrics = EpochMetrics(
        epoch=number,
        full_epochs=number,
        scores={
            "val_loss": value,
            "val_accuracy": 1 - value / 10,
            "val_balanced_accuracy": 0.5,
            "val_macro_f1": 0.5,
            "val_auroc": 0.5,
        },
        train_loss=value,
        train_accuracy=0.5,
        learning_rate=1e-3,
        trainable_parameters=10,
        epoch_seconds=1.0,
        time=0.0,
    )
    return {**metrics.row(), "done": False, "reason": None, "applied": {"loss": "cross-entropy"}, **changes}
