"""A search whose trials write to an S3 bucket, of a real server on this machine; stopped by request, then resumed."""

import time

import pytest
from command import tuner
from interrupting import family, left
from pictures import write_pictures
from pyarrow.fs import FileSelector, S3FileSystem
from tiny import SPACE, write_space

from trainables.storage import Bucket
from tuner.release.export import export
from tuner.runs.directory import Run
from tuner.runs.journal import load_study

moto = pytest.importorskip("moto.server")
pytestmark = [pytest.mark.ray, pytest.mark.slow]


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


def objects(files):
    return [
        one.path
        for one in files.get_file_info(FileSelector("shelf", recursive=True))
        if one.type.name == "File"
    ]


def test_a_search_on_a_bucket_is_stopped_goes_on_and_leaves_nothing_there(bucket, tmp_path):
    files, address = bucket
    write_pictures(tmp_path / "pictures", {"blue": 12, "red": 12})
    run = Run(tmp_path / "r")
    options = ["--data", tmp_path / "pictures", "--weights", "none", "--image-size", 32, "--samples", 1]
    options += ["--max-epochs", 40, "--grace-period", 40, "--runs-dir", tmp_path]
    options += ["--name", "r", "--strategies", "feature_extractor", "--no-dashboard"]
    space = write_space(tmp_path, SPACE.replace('"batch_size": 8', '"batch_size": 8, "patience": 0'))
    search = tuner("run", "--space", space, "--storage", address, *options)
    deadline = time.monotonic() + 120
    while not any(name.endswith("state.pt") for name in objects(files)):
        assert search.poll() is None, search.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = family(search)
    asked = tuner("stop", run.path)
    assert "tuner resume" in asked.communicate(timeout=60)[0]
    said = search.communicate(timeout=90)[0]
    assert search.returncode == 130, said
    assert left(children, 20) == []
    live = [t.user_attrs["trial_id"] for t in load_study(run.journal).trials if not t.state.is_finished()]
    assert live
    there = {name.split("/")[4] for name in objects(files) if "/alive/" in name}
    assert there
    assert there <= set(live)
    assert not any((run.path / "alive").glob("*/state.pt"))

    done = {trial_id: len(run.epochs(trial_id)) for trial_id in live}
    again = tuner("resume", run.path)
    said = again.communicate(timeout=300)[0]
    assert again.returncode == 0, said
    trials = run.trials()
    assert trials["status"].tolist() == ["completed"]
    assert all((trials.set_index("trial_id")["epochs"] >= done[trial_id]).loc[trial_id] for trial_id in live)
    assert export(run.path, out=tmp_path / "best.yaml").trial in set(trials["trial_id"])
    assert (run.path / "weights").iterdir()
    assert objects(files) == []
    scratch = Bucket(run.path, run.record["settings"]["storage"])._scratch
    assert [file.name for file in scratch.iterdir() if file.is_dir()] == []
    assert "testing" not in (run.path / "run.yaml").read_text()


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
