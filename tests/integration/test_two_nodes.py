"""A search on two Ray nodes, of which one is killed in the middle."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pictures import write_pictures

from tuner.cluster.processes import end
from tuner.runs.directory import Run
from tuner.runs.journal import load_study

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = '''"""Two trials at once, long enough to lose a node."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"model": "mobilenet_v2", "strategy": "full", "batch_size": 4, "patience": 0}
'''
SAMPLES, EPOCHS = 2, 7


@pytest.fixture
def cluster(tmp_path):
    """The process that holds the cluster."""
    script = Path(__file__).with_name("two_node_cluster.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNER_CACHE_DIR": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    yield process
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.stdin.close()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    end(family, 2.0)


def first_line_of(process):
    """What the process says first; Ray may print before it."""
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    raise AssertionError("the cluster did not start")


def trials_below(raylet):
    """Trials that the workers of a node are titled by."""
    titles = []
    for child in psutil.Process(raylet).children():
        try:
            titles += [part for part in child.cmdline()[:1] if part.startswith("ray::mobilenet_v2")]
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return titles


def test_a_node_that_is_killed_loses_no_trial_and_counts_none_twice(cluster, tmp_path):
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20, "red": 20})
    space = tmp_path / "two.py"
    space.write_text(SPACE, encoding="utf-8")
    known = first_line_of(cluster)
    command = [
        "run",
        "--space",
        str(space),
        "--data",
        str(tmp_path / "pictures"),
        "--address",
        known["address"],
    ]
    command += [
        "--storage",
        str(tmp_path / "shared"),
        "--name",
        "r",
        "--weights",
        "none",
        "--image-size",
        "64",
    ]
    command += ["--samples", str(SAMPLES), "--max-epochs", str(EPOCHS), "--grace-period", str(EPOCHS)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNER_CACHE_DIR": str(tmp_path / "cache")}
    run = Run(tmp_path / "shared" / "r")
    with (tmp_path / "out.txt").open("w+") as log:
        search = subprocess.Popen(
            [sys.executable, "-m", "tuner", *command], stdout=log, stderr=log, env=environment
        )
        try:
            wait_until_both_train(search, run, known["raylets"], tmp_path / "out.txt")
            cluster.stdin.write("kill\n")
            cluster.stdin.flush()
            assert search.wait(240) == 0, (tmp_path / "out.txt").read_text()
        finally:
            search.kill()
            search.wait()
    trials, epochs = run.trials(), run.epochs()
    assert trials["status"].tolist() == ["completed"] * SAMPLES
    assert trials["epochs"].tolist() == [EPOCHS] * SAMPLES
    assert trials["retries"].sum() == 1
    for _, part in epochs.groupby("trial_id"):
        assert part["epoch"].tolist() == list(range(1, EPOCHS + 1))
    states = [trial.state.name for trial in load_study(run.journal).get_trials()]
    assert states == ["COMPLETE"] * SAMPLES
    assert list((run.path / "alive").iterdir()) == []


def wait_until_both_train(search, run, raylets, log):
    """Return when each node runs a trial and both trials have finished two epochs."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        assert search.poll() is None, log.read_text()
        trained = run.epochs().groupby("trial_id").size() if run.path.exists() else []
        if sum(size >= 2 for size in trained) >= 2 and all(trials_below(raylet) for raylet in raylets):
            return
        time.sleep(0.1)
    raise AssertionError(f"the search does not use both nodes:\n{log.read_text()}")
