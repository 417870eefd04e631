import threading
import time

import pytest

from trainables import storage
from trainables.checkpoint import BASE, STATE, CheckpointWriter, best_name, read_state
from trainables.errors import InvalidValue, TrialFailed
from trainables.storage import Bucket, RunFolder, address_below, check_address, is_address, try_out


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes the bucket as another machine sees it: scratch folders of its own, and no run directory."""

    def make(name, run_dir="/no/such/run"):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.setattr(storage.tempfile, "gettempdir", lambda: str(tmp_path / name))
        return Bucket(run_dir, f"file://{tmp_path}/bucket/run")

    return make


def write(folder, **files):
    for name, content in files.items():
        (folder / name).write_text(content)


def test_what_one_machine_published_another_goes_on_with(machine):
    here, there = machine("here"), machine("there")
    write(here.enter("t"), state="epoch 1", split="2")
    here.publish("t", ["state", "split"])
    folder = there.enter("t")
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"state": "epoch 1", "split": "2"}


def test_a_machine_that_had_the_trial_before_does_not_go_on_with_its_old_files(machine):
    here, there = machine("here"), machine("there")
    write(here.enter("t"), state="epoch 1", only_here="x")
    here.publish("t", ["state"])
    write(there.enter("t"), state="epoch 2")
    there.publish("t", ["state"])
    folder = here.enter("t")
    assert [file.name for file in folder.iterdir()] == ["state"]
    assert (folder / "state").read_text() == "epoch 2"


def test_new_best_weights_replace_the_old_ones(machine, tmp_path):
    bucket = machine("here")
    folder = bucket.enter("t")
    for epoch in (1, 4):
        write(folder, **{best_name(epoch): f"weights {epoch}", STATE: "state", BASE: "base"})
        bucket.publish("t", [BASE, best_name(epoch), STATE])
    assert sorted(p.name for p in (tmp_path / "bucket/run/alive/t").iterdir()) == [BASE, best_name(4), STATE]


def test_the_driver_waits_for_weights_that_are_still_on_their_way(machine, tmp_path):
    worker, driver = machine("worker"), machine("driver")
    write(worker.enter("t"), **{best_name(3): "weights", BASE: "base"})

    def send_late():
        time.sleep(0.3)
        worker.publish("t", [BASE, best_name(3)])

    thread = threading.Thread(target=send_late)
    thread.start()
    (tmp_path / "kept").mkdir()
    driver.collect("t", 3, tmp_path / "kept")
    thread.join()
    assert {file.name for file in (tmp_path / "kept").iterdir()} == {best_name(3), BASE}


def test_weights_that_never_come_are_not_waited_for_without_end(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "SECONDS_TO_ARRIVE", 0.2)
    (tmp_path / "kept").mkdir()
    machine("driver").collect("t", 3, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_only_living_trials_stay_and_at_the_end_nothing(machine, tmp_path):
    bucket = machine("here")
    for trial in ("a", "b"):
        write(bucket.enter(trial), state="x")
        bucket.publish(trial, ["state"])
    bucket.keep_only({"b"})
    assert [p.name for p in (tmp_path / "bucket/run/alive").iterdir()] == ["b"]
    bucket.keep_only(())
    assert not (tmp_path / "bucket/run").exists()


def test_a_machine_without_the_run_directory_gets_the_split_from_the_bucket(machine, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    write(run, **{"split.parquet": "split", "images.parquet": "hashes"})
    machine("driver", run).share()
    folder = machine("worker").shared()
    assert (folder / "split.parquet").read_text() == "split"
    assert (folder / "images.parquet").read_text() == "hashes"


def test_without_a_bucket_a_machine_that_does_not_see_the_run_directory_names_the_option(tmp_path):
    (tmp_path / "split.parquet").touch()
    assert RunFolder(tmp_path).shared() == tmp_path
    with pytest.raises(TrialFailed, match="--storage"):
        RunFolder(tmp_path / "gone").shared()


def test_the_writer_publishes_weights_before_the_state_that_speaks_of_them(machine):
    import torch

    here, there = machine("here"), machine("there")
    order = []

    def publish(names):
        order.extend(names)
        here.publish("t", names)

    writer = CheckpointWriter(here.enter("t"), publish)
    weights = {"w": torch.ones(2)}
    writer.write({"epoch": 1, "weights": weights}, (1, weights))
    writer.wait()
    assert order == [best_name(1), STATE]
    assert read_state(there.enter("t"))["epoch"] == 1


def test_a_bucket_that_can_not_be_written_fails_the_writer(machine, tmp_path):
    bucket = machine("here")
    folder = bucket.enter("t")
    (tmp_path / "bucket").write_text("a file where a folder should be")
    writer = CheckpointWriter(folder, lambda names: bucket.publish("t", names))
    writer.write({"epoch": 1}, None)
    with pytest.raises(OSError, match="bucket"):
        writer.wait()


@pytest.mark.parametrize(
    ("address", "said"),
    [("ftp://host/x", "begin with s3"), ("s3://key:secret@bucket/x", "AWS_ACCESS_KEY_ID")],
)
def test_an_address_that_pyarrow_does_not_know_or_that_holds_a_secret_is_refused(address, said):
    with pytest.raises(InvalidValue, match=said) as caught:
        check_address(address)
    assert "secret" not in str(caught.value)


def test_folders_are_no_addresses():
    assert [is_address(one) for one in ("runs", "/runs", "file:///runs", "s3://b/runs")] == [0, 0, 0, 1]


def test_the_place_of_a_run_keeps_the_options_of_the_address():
    assert address_below("s3://b/runs/?region=eu", "r-1") == "s3://b/runs/r-1?region=eu"


def test_trying_out_leaves_nothing_and_says_why_it_fails(tmp_path):
    try_out(f"file://{tmp_path}/bucket/run")
    assert list((tmp_path / "bucket").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValue, match="nothing can be written"):
        try_out(f"file://{tmp_path}/file/run")
