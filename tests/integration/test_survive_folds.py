"""A search that is killed while other folds judge its best trials, and goes on."""

import time

import numpy as np
import pandas as pd
import pytest
from command import tuner
from test_survive import ESTIMATES, TIMES, kill_all, run_arguments

from tuner.runs.directory import Run

pytestmark = [pytest.mark.ray, pytest.mark.slow]

MEASURED = ["seconds", "started", "ended"]
FOLDS = {"samples": 2, "max-epochs": 2, "folds": 3}


def answered(run):
    """The most images that a trial has answered out of fold so far."""
    files = list((run.path / "out_of_fold").glob("*.npy"))
    return max((int((~np.isnan(np.load(file)).any(axis=1)).sum()) for file in files), default=0)


def table(run):
    trials = run.trials()
    return trials.drop(columns=[name for name in (*MEASURED, *ESTIMATES) if name in trials])


def test_a_search_killed_among_its_folds_ends_with_the_tables_of_an_undisturbed_one(tmp_path, pictures):
    whole, killed = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    output, _ = tuner(*run_arguments(tmp_path, pictures, "whole", **FOLDS)).communicate(timeout=300)
    judged = whole.judged()
    assert judged is not None, output
    process = tuner(*run_arguments(tmp_path, pictures, "killed", **FOLDS))
    validation = int((whole.split()["split"] == "val").sum())
    limit = time.monotonic() + 300
    while answered(killed) <= validation and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()[0]
    kill_all(process)
    assert validation < answered(killed)
    assert killed.judged() is None
    before = answered(killed)
    output, _ = tuner("resume", killed.path).communicate(timeout=300)
    assert answered(killed) > before, output
    pd.testing.assert_frame_equal(killed.judged(), judged)
    pd.testing.assert_frame_equal(table(killed), table(whole))
    pd.testing.assert_frame_equal(killed.epochs().drop(columns=TIMES), whole.epochs().drop(columns=TIMES))
