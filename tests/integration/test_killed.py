"""Signals, for real: SIGTERM, `kill -9` among trials and among folds.

A stop request is in `test_outside.py`, a second signal in `test_dashboard.py`: both end a search that is there anyway.
"""

import contextlib
import os
import random
import signal
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from command import tuner
from interrupting import check_whole, epochs_of, family, interrupted, kill, left, wait_for_epoch
from test_search import TIMES, config
from tiny import SPACE, write_space

from tuner.runs.directory import Run
from tuner.tracking.status import read_status
from tuner.tuning.loop import search

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = int(os.environ.get("TUNER_KILLS", "0"))
"""How often more a driver is killed, at random moments (the suite: never; a release: 20)."""

SAMPLES, FOLDS = 6, 3
"""Trials enough that three drivers meet an epoch before none is left, on a busy machine, too."""


@pytest.fixture
def undisturbed(tmp_path, two_cores, pictures):
    """A search that nobody disturbs."""
    space = write_space(tmp_path, SPACE)
    return search(config(tmp_path, pictures, space, samples=SAMPLES, folds=FOLDS, name="undisturbed")).run


def apart(folder, pictures):
    """Such a search in a process of its own."""
    options = {"space": write_space(folder, SPACE), "data": pictures, "weights": "none", "runs-dir": folder}
    options |= {"image-size": 32, "samples": SAMPLES, "max-epochs": 3, "split": "0.6,0.2,0.2", "folds": FOLDS}
    options |= {"name": "killed", "concurrent": 1, "cpus-per-trial": 1, "precision": "fp32"}
    return tuner(
        "run", "--no-dashboard", *(word for name, value in options.items() for word in (f"--{name}", value))
    )


def answered(run):
    """The most images that a trial has answered out of fold so far."""
    files = list((run.path / "out_of_fold").glob("*.npy"))
    return max((int((~np.isnan(np.load(file)).any(axis=1)).sum()) for file in files), default=0)


def kill_worker(driver):
    """SIGKILL for the worker that trains; its trial is tried again."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        alive = family(driver)
        for one in alive:
            # Named after its trial, or after what it does for Ray just now.
            with contextlib.suppress(psutil.NoSuchProcess):
                if one.name().startswith(("ray::mobilenet_v2-", "ray::TrialTrain")):
                    # The only one: none was started for each core, to wait.
                    assert [other.name() for other in alive if other.name() == "ray::IDLE"] == []
                    one.kill()
                    return
        time.sleep(0.02)
    raise AssertionError("no worker trains")


def kill_among_folds(run, process):
    """Wait until a fold beside the search's own has answered, and kill the driver; how many images were answered."""
    own = int((run.split()["split"] == "val").sum())
    limit = time.monotonic() + 300
    while answered(run) <= own:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit
        time.sleep(0.02)
    kill(process)
    assert run.judged() is None
    return answered(run)


def assert_same_tables(run, other):
    """The same, whatever was killed meanwhile."""
    chance = ["seconds", "retries"]
    pd.testing.assert_frame_equal(run.trials().drop(columns=chance), other.trials().drop(columns=chance))
    pd.testing.assert_frame_equal(run.epochs().drop(columns=TIMES), other.epochs().drop(columns=TIMES))
    pd.testing.assert_frame_equal(run.judged(), other.judged())


def test_a_driver_that_is_killed_and_interrupted_ends_with_the_tables_of_an_undisturbed_search(
    undisturbed, tmp_path, pictures
):
    """The same seed gives the same tables, whatever dies."""
    run, moments = Run(tmp_path / "killed"), random.Random(7)
    process, began = apart(tmp_path, pictures), time.monotonic()
    wait_for_epoch(run, process)
    until_an_epoch = time.monotonic() - began
    kill_worker(process)
    wait_for_epoch(run, process)
    orphans = kill(process)
    assert read_status(run.path).state == "dead"
    before = run.trials()
    # SIGTERM, as a cluster sends it.
    epochs = interrupted(run, tuner("resume", run.path), signal.SIGTERM)
    # One epoch may have been written before the signal came, another is the one that it ends within.
    assert epochs_of(run) <= epochs + 2
    for _ in range(KILLS):
        process = tuner("resume", run.path)
        time.sleep(moments.uniform(0.1, 1.5) * until_an_epoch)
        kill(process)
    some = kill_among_folds(run, tuner("resume", run.path))
    again = tuner("resume", run.path)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert answered(run) > some
    check_whole(run, SAMPLES)
    assert_same_tables(run, undisturbed)
    ended = run.trials().set_index("trial_id")["value"]
    assert all(ended[row["trial_id"]] == row["value"] for row in before.to_dict("records"))
    # Ray's own agents try for a minute to tell the dead server of the end of their raylet.
    assert left(orphans, 100) == []
