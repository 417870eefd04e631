"""A search whose trials write to an S3 bucket and that logs to MongoDB, real servers on this machine.

MongoDB stops for some epochs and is gone at the end; the search is stopped by request, then resumed.
"""

import time

import pytest
from command import tuner
from interrupting import family, left, wait_for_epoch
from mongo_server import MongoServer
from pictures import write_pictures
from pyarrow.fs import FileSelector, S3FileSystem
from tiny import write_space

from trainables.storage import Bucket
from tuner.release.export import export
from tuner.runs.directory import Run
from tuner.runs.journal import load_study
from tuner.tracking.sinks.mongodb import PATIENCE_MS

pytest.importorskip("pymongo")
pytest.importorskip("nx_27017")
moto = pytest.importorskip("moto.server")
pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = '''"""One trial, long enough for a server to come and go."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"model": "timm:test_resnet", "strategy": "full", "batch_size": 4, "patience": 0}
'''
EPOCHS = 45


@pytest.fixture
def bucket(monkeypatch):
    """A bucket's filesystem and address; keys are in the environment, as a machine has them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    files = S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", region="us-east-1", allow_bucket_creation=True
    )
    files.create_dir("shelf")
    yield (
        files,
        f"s3://shelf/runs?endpoint_override={host}%3A{port}&scheme=http&region=us-east-1&allow_bucket_creation=true",
    )
    server.stop()


@pytest.fixture
def mongo(tmp_path, monkeypatch):
    """A server of MongoDB's protocol; its address is in the environment."""
    opened = MongoServer(tmp_path)
    opened.start()
    monkeypatch.setenv("TUNER_MONGODB_URI", opened.address)
    yield opened
    opened.stop()


def objects(files):
    return [
        one.path
        for one in files.get_file_info(FileSelector("shelf", recursive=True))
        if one.type.name == "File"
    ]


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


def stop_by_request(run, search, files):
    """`tuner stop`, which leaves what the trial needs to go on in the bucket, and no process; the trial's epochs."""
    children = family(search)
    asked = tuner("stop", run.path)
    assert "tuner resume" in asked.communicate(timeout=60)[0]
    said = search.communicate(timeout=90)[0]
    assert search.returncode == 130, said
    assert left(children, 20) == []
    [live] = [t.user_attrs["trial_id"] for t in load_study(run.journal).trials if not t.state.is_finished()]
    assert {name.split("/")[4] for name in objects(files) if "/alive/" in name} == {live}
    assert not any((run.path / "alive").glob("*/state.pt"))
    return len(run.epochs(live))


def test_a_search_on_a_bucket_that_logs_to_a_server_that_comes_and_goes_is_stopped_and_goes_on(
    bucket, mongo, tmp_path
):
    files, address = bucket
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20, "red": 20})
    run = Run(tmp_path / "r")
    options = ["--data", tmp_path / "pictures", "--weights", "none", "--image-size", 32, "--samples", 1]
    options += ["--max-epochs", EPOCHS, "--grace-period", EPOCHS, "--runs-dir", tmp_path, "--name", "r"]
    options += ["--folds", 0, "--no-dashboard", "--log", "mongodb", "--storage", address]
    search = tuner("run", "--space", write_space(tmp_path, SPACE), *options)
    wait_for_epoch(run, search, 3)
    mongo.stop()
    stopped = time.time()
    wait_for_epoch(run, search, 4)
    restarted = time.time()
    mongo.start()
    wait_for_epoch(run, search)
    done = stop_by_request(run, search, files)
    again = tuner("resume", run.path)
    wait_for_epoch(run, again, 2)
    mongo.stop()
    said = again.communicate(timeout=300)[0]
    assert again.returncode == 0, said

    trials = run.trials()
    assert trials["status"].tolist() == ["completed"]
    assert done < trials["epochs"].item() == EPOCHS
    assert export(run.path, out=tmp_path / "best.yaml").trial in set(trials["trial_id"])
    assert list((run.path / "weights").iterdir()) != []
    assert objects(files) == []
    scratch = Bucket(run.path, run.record["settings"]["storage"])._scratch
    assert [file.name for file in scratch.iterdir() if file.is_dir()] == []

    table = run.epochs().sort_values("time")
    away = table[(table["time"] > stopped) & (table["time"] < restarted)]
    waits = away["time"].diff().dropna() - away["epoch_seconds"].iloc[1:]
    assert len(away) >= 3
    # A search that waited for the server would wait its whole patience at every epoch.
    assert waits.median() < PATIENCE_MS / 1000 / 2
    assert "tuner sync" in said
    mongo.start()
    assert len(documents(mongo)) < EPOCHS
    synced = tuner("sync", run.path)
    said = synced.communicate(timeout=60)[0]
    assert synced.returncode == 0, said
    assert documents(mongo) == rows(run)
    assert len(rows(run)) == EPOCHS
    record = (run.path / "run.yaml").read_text(encoding="utf-8")
    assert [word for word in ("testing", "TUNER_MONGODB_URI", mongo.address) if word in record] == []


def test_a_bucket_that_does_not_answer_is_one_line(tmp_path):
    write_pictures(tmp_path / "pictures", {"blue": 4, "red": 4})
    address = "s3://shelf/runs?endpoint_override=127.0.0.1%3A9&scheme=http&region=us-east-1"
    process = tuner(
        "run",
        "--space",
        "googlenet_grid",
        "--data",
        tmp_path / "pictures",
        "--storage",
        address,
        "--runs-dir",
        tmp_path,
    )
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 2
    assert said.count("\n") == 1
    assert "--storage" in said
    assert "Traceback" not in said
