"""The search that several tests of a real Ray look at, and how it was made."""

from pathlib import Path

import ray
from optuna.trial import TrialState
from tiny import SPACE

from tuner.runs.directory import Run
from tuner.runs.journal import load_study
from tuner.tuning.config import SearchConfig, search_config

SAMPLES, EPOCHS = 5, 4

TIMES = ["epoch_seconds", "time"]

WITH_PRIOR = f"""{SPACE}

prior = {{"learning_rate": {{"centre": 1e-3, "width": 0.5}}, "strategy": {{"full": 2, "feature_extractor": 1}}}}
"""
"""The tiny space, half of whose trials come from a prior."""


def config(folder: Path, pictures: Path, space: Path, **changes: object) -> SearchConfig:
    """A search that gives the same tables each time: one trial after the other, in full precision."""
    values = {
        "space": str(space),
        "data": pictures,
        "weights": "none",
        "image_size": 32,
        "samples": SAMPLES,
        "max_epochs": EPOCHS,
        "runs_dir": folder,
        "name": "run",
        "concurrent": 1,
        "split": "0.6,0.2,0.2",
        "precision": "fp32",
    }
    return search_config(**(values | changes))


def check_whole(run: Run, samples: int = SAMPLES) -> None:
    """Nothing is torn, lost, doubled or left running."""
    table, epochs = run.trials(), run.epochs()
    assert len(table) == samples
    assert table["trial_id"].is_unique
    assert not epochs.duplicated(["trial_id", "epoch"]).any()
    told = load_study(run.journal).trials
    assert len(told) == samples
    assert all(trial.state is not TrialState.RUNNING for trial in told)
    for trial, (_, row) in zip(told, table.iterrows(), strict=True):
        part = epochs[epochs["trial_id"] == row["trial_id"]]
        # Of four epochs' trials the rungs stand at 1 and 2; what is frozen spends nothing, and reaches none.
        best = dict(zip(part["epoch"], part["val_loss"].cummin(), strict=True))
        frozen = row["strategy"] == "feature_extractor"
        assert trial.intermediate_values == {e: best[e] for e in (1, 2) if e in best and not frozen}
    assert list((run.path / "alive").iterdir()) == []
    assert not list(run.path.rglob("*.tmp"))


def shared_ray(num_cpus: int = 2, num_gpus: int = 0) -> None:
    """Start a Ray unless one runs in this process; conftest.py ends it before a test that does not share it."""
    if not ray.is_initialized():
        ray.init(
            address="local",
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _node_ip_address="127.0.0.1",
        )
