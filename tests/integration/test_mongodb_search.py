"""A real search that logs to a MongoDB server which stops for six seconds and is gone at the end."""

import os
import subprocess
import sys
import time

import pytest
from pictures import write_pictures

pytest.importorskip("pymongo")
pytest.importorskip("nx_27017")

from mongo_server import MongoServer

from tuner.runs.directory import Run
from tuner.tracking.sinks.mongodb import PATIENCE_MS

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = '''"""One trial after the other, long enough for a server to come and go."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"model": "mobilenet_v2", "strategy": "full", "batch_size": 4, "patience": 0}
'''
SAMPLES, EPOCHS = 2, 16
AWAY_S = 6


def documents(server):
    """(trial, epoch) -> validation loss, one for each document; fails on a double."""
    found = [
        ((one["trial_id"], one["epoch"]), one["val_loss"])
        for collection in server.documents().values()
        for one in collection
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


def rows(run):
    """The same of the tables."""
    table = run.epochs()
    keys = zip(table["trial_id"], table["epoch"], strict=True)
    return dict(zip(keys, table["val_loss"], strict=True))


def wait_for_epochs(run, search, number):
    while not run.path.exists() or len(run.epochs()) < number:
        assert search.poll() is None
        time.sleep(0.1)


@pytest.fixture
def server(tmp_path):
    opened = MongoServer(tmp_path)
    opened.start()
    yield opened
    opened.stop()


def test_a_server_that_comes_and_goes_never_holds_the_search_up(tmp_path, server):
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20, "red": 20})
    (tmp_path / "logged.py").write_text(SPACE, encoding="utf-8")
    command = [sys.executable, "-m", "tuner", "run", "--space", str(tmp_path / "logged.py"), "--name", "r"]
    command += ["--data", str(tmp_path / "pictures"), "--runs-dir", str(tmp_path), "--weights", "none"]
    command += [
        "--image-size",
        "64",
        "--samples",
        str(SAMPLES),
        "--max-epochs",
        str(EPOCHS),
        "--concurrent",
        "1",
    ]
    command += ["--grace-period", str(EPOCHS), "--no-dashboard", "--log", "mongodb"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNER_MONGODB_URI": server.address}
    run = Run(tmp_path / "r")
    with (tmp_path / "out.txt").open("w") as log:
        search = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            wait_for_epochs(run, search, 5)
            server.stop()
            stopped, before = time.time(), len(run.epochs())
            time.sleep(AWAY_S)
            # On a busy machine two epochs may take longer.
            wait_for_epochs(run, search, before + 3)
            restarted, during = time.time(), len(run.epochs()) - before
            server.start()
            wait_for_epochs(run, search, EPOCHS + 6)
            server.stop()
            assert search.wait(200) == 0
        finally:
            search.kill()
            search.wait()
    table = run.epochs().sort_values("time")
    assert during > 0
    away = table[(table["time"] > stopped) & (table["time"] < restarted)]
    waits = away["time"].diff().dropna() - away["epoch_seconds"].iloc[1:]
    # A search that waited for the server would wait its whole patience at every epoch.
    assert waits.median() < PATIENCE_MS / 1000 / 2
    assert "tuner sync" in (tmp_path / "out.txt").read_text()
    assert "TUNER_MONGODB_URI" not in (run.path / "run.yaml").read_text()
    assert server.address not in (run.path / "run.yaml").read_text()
    server.start()
    assert len(documents(server)) < SAMPLES * EPOCHS
    synced = subprocess.run(
        [sys.executable, "-m", "tuner", "sync", str(run.path)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert synced.returncode == 0, synced.stdout + synced.stderr
    assert documents(server) == rows(run)
    assert len(rows(run)) == SAMPLES * EPOCHS
