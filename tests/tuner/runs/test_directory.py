import pytest
from tiny import epoch, store, write_space

from tuner.runs.directory import Run


@pytest.fixture
def run(tmp_path):
    return store(tmp_path, write_space(tmp_path)).run


def test_the_epochs_of_one_trial_are_one_file(run, monkeypatch):
    for trial in ("a", "b"):
        run.write_epochs(trial, [epoch(1, 0.5)])
    (run.path / "epochs" / "c.parquet").write_bytes(b"not a table")

    def listed(*_):
        raise AssertionError("the folder was listed")

    monkeypatch.setattr(type(run.path), "glob", listed)
    assert run.epochs("b")["trial_id"].tolist() == ["b"]
    assert run.epochs("d").empty


def test_the_epochs_of_all_trials_are_in_the_order_of_their_names(run):
    for trial in ("b", "a"):
        run.write_epochs(trial, [epoch(1, 0.5), epoch(2, 0.4)])
    assert Run.open(run.path).epochs()["trial_id"].tolist() == ["a", "a", "b", "b"]
