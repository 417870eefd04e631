"""Signals, for real. A stop request is in `test_bucket.py`, SIGKILL in `test_search.py` and `test_survive_folds.py`."""

import signal
import time

import pytest
from command import tuner
from interrupting import epochs_of, family, interrupted, left, wait_for_epoch
from tiny import write_space

from tuner.runs.directory import Run

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = '''"""Long enough to be interrupted."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"model": "mobilenet_v2", "strategy": "full", "batch_size": 4, "patience": 0}
'''


def test_a_first_signal_ends_a_search_within_an_epoch_and_a_second_one_at_once(tmp_path, pictures):
    run = Run(tmp_path / "r")
    options = {"space": write_space(tmp_path, SPACE), "data": pictures, "weights": "none", "image-size": 64}
    options |= {"samples": 1, "max-epochs": 60, "grace-period": 60, "runs-dir": tmp_path, "name": "r"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    # SIGTERM, as a cluster sends it.
    before = interrupted(run, tuner("run", "--no-dashboard", *words), signal.SIGTERM)
    # One epoch may have been written before the signal came, another is the one that it ends within.
    assert epochs_of(run) <= before + 2
    process = tuner("resume", run.path)
    wait_for_epoch(run, process)
    children = family(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert left(children, 2) == []
