"""What a library call leaves behind in the process that made it: nothing."""

import importlib
import logging
import os
import signal

import optuna
import pytest
import ray
import torch
from tiny import write_space

import tuner
from trainables.errors import UserMistake

LOGGERS = ("ray", "ray.tune", "ray.train", "optuna", "matplotlib.font_manager")


def state_of_the_process():
    return {
        # Torch sets this for itself, wherever it is imported first.
        "environment": {k: v for k, v in os.environ.items() if k != "TORCHINDUCTOR_CACHE_DIR"},
        "optuna": optuna.logging.get_verbosity(),
        "loggers": {name: logging.getLogger(name).level for name in LOGGERS},
        "threads": torch.get_num_threads(),
        "ray": ray.is_initialized(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
    }


@pytest.fixture
def own_settings(monkeypatch):
    """Settings of the caller's own, which differ from all that tuner would set."""
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "1")
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    verbosity, threads = optuna.logging.get_verbosity(), torch.get_num_threads()
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    torch.set_num_threads(3)
    yield
    optuna.logging.set_verbosity(verbosity)
    torch.set_num_threads(threads)


def test_a_search_that_is_refused_leaves_the_process_as_it_was(tmp_path, pictures, own_settings):
    before = state_of_the_process()
    with pytest.raises(UserMistake):
        tuner.search(write_space(tmp_path), data=pictures, runs_dir=tmp_path, weights="none", samples=-1)
    with pytest.raises(UserMistake):
        tuner.search(write_space(tmp_path), data=pictures, runs_dir=tmp_path, address="127.0.0.1:1")
    assert state_of_the_process() == before


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_and_a_comparison_leave_the_process_as_it_was(tmp_path, pictures, own_settings):
    # Scikit-learn sets two variables when it is imported for the first time, whoever does that.
    importlib.import_module("sklearn")
    before = state_of_the_process()
    told = []

    def notice(trial_id, row):
        told.append(os.environ["RAY_AIR_NEW_OUTPUT"])

    found = tuner.search(
        "auto",
        backbones="mobilenet_v2,resnet18",
        data=pictures,
        weights="none",
        image_size=32,
        samples=2,
        max_epochs=1,
        concurrent=1,
        split="0.6,0.2,0.2",
        precision="fp32",
        runs_dir=tmp_path,
        on_trial=notice,
    )
    assert found.exit_status == 0
    assert told == ["0", "0"]
    probe = found.run.probe()
    assert {row["model"] for row in probe["backbones"]} == {"mobilenet_v2", "resnet18"}
    assert set(found.run.trials()["model"]) <= set(probe["advised"])
    assert set(found.run.trials()["status"]) == {"completed"}
    assert state_of_the_process() == before
    page = tuner.compare(found.run.path).report.read_text(encoding="utf-8")
    assert "<h2>Backbones</h2>" in page
    assert state_of_the_process() == before
