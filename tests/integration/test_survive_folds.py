"""A search that is killed while other folds judge its best trials, and goes on."""

import time

import numpy as np
import pandas as pd
import pytest
from command import tuner
from interrupting import kill
from tiny import write_space

from tuner.runs.directory import Run

pytestmark = [pytest.mark.ray, pytest.mark.slow]

OPTIONS = {
    "weights": "none",
    "image-size": 32,
    "samples": 2,
    "max-epochs": 2,
    "folds": 3,
    "split": "0.6,0.2,0.2",
    "concurrent": 1,
    "precision": "fp32",
}


def search(folder, pictures, name):
    """A search of two trials in a process of its own; the better one is judged by three folds."""
    given = {**OPTIONS, "space": write_space(folder), "data": pictures, "runs-dir": folder, "name": name}
    return tuner(
        "run", "--no-dashboard", *(word for key, value in given.items() for word in (f"--{key}", value))
    )


def answered(run):
    """The most images that a trial has answered out of fold so far."""
    files = list((run.path / "out_of_fold").glob("*.npy"))
    return max((int((~np.isnan(np.load(file)).any(axis=1)).sum()) for file in files), default=0)


def table(run):
    return run.trials().drop(columns="seconds")


def test_a_search_killed_among_its_folds_ends_with_the_tables_of_an_undisturbed_one(tmp_path, pictures):
    whole, killed = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    output, _ = search(tmp_path, pictures, "whole").communicate(timeout=300)
    judged = whole.judged()
    assert judged is not None, output
    process = search(tmp_path, pictures, "killed")
    validation = int((whole.split()["split"] == "val").sum())
    limit = time.monotonic() + 300
    while answered(killed) <= validation and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()[0]
    kill(process)
    assert validation < answered(killed)
    assert killed.judged() is None
    before = answered(killed)
    output, _ = tuner("resume", killed.path).communicate(timeout=300)
    assert answered(killed) > before, output
    pd.testing.assert_frame_equal(killed.judged(), judged)
    pd.testing.assert_frame_equal(table(killed), table(whole))
    times = ["epoch_seconds", "time"]
    pd.testing.assert_frame_equal(killed.epochs().drop(columns=times), whole.epochs().drop(columns=times))
