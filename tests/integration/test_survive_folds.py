"""A search that is killed while other folds judge its best trials, and goes on."""

import time

import numpy as np
import pandas as pd
import pytest
from command import tuner
from interrupting import kill
from tiny import write_space

from tuner.runs.directory import Run
from tuner.tuning.config import search_config
from tuner.tuning.loop import search

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("two_cores")]

OPTIONS = {
    "weights": "none",
    "image_size": 32,
    "samples": 2,
    "max_epochs": 2,
    "folds": 3,
    "split": "0.6,0.2,0.2",
    "concurrent": 1,
    "precision": "fp32",
}
"""Of a search of two trials; the better one is judged by three folds."""


def apart(given):
    """Such a search in a process of its own."""
    words = (word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", value))
    return tuner("run", "--no-dashboard", *words)


def answered(run):
    """The most images that a trial has answered out of fold so far."""
    files = list((run.path / "out_of_fold").glob("*.npy"))
    return max((int((~np.isnan(np.load(file)).any(axis=1)).sum()) for file in files), default=0)


def table(run):
    return run.trials().drop(columns="seconds")


def test_a_search_killed_among_its_folds_ends_with_the_tables_of_an_undisturbed_one(tmp_path, pictures):
    whole, killed = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    given = {**OPTIONS, "space": str(write_space(tmp_path)), "data": pictures, "runs_dir": tmp_path}
    search(search_config(**given, name="whole"))
    judged = whole.judged()
    assert judged is not None
    process = apart({**given, "name": "killed"})
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
