"""What commands take around their training: the parts that need no Ray."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from benchmarks.speed import around
from benchmarks.speed.around import Version, medians, trained


def test_a_command_is_timed_and_one_that_fails_says_why(tmp_path):
    version = Version(sys.executable, tmp_path)
    assert 0 < version.seconds("--version") < 60
    with pytest.raises(RuntimeError, match="no/such/run"):
        version.seconds("status", "no/such/run")


def test_what_a_version_lacks_is_known_by_its_help(tmp_path):
    version = Version(sys.executable, tmp_path)
    assert version.has("run", "--folds")
    assert not version.has("run", "--no-such-option")
    assert not version.has("no-such-command")


def test_training_is_taken_off_and_every_command_of_the_chain_is_asked(tmp_path, monkeypatch):
    images = SimpleNamespace(
        folder=tmp_path, groups=tmp_path / "groups.csv", rows=(("a/1.jpg", "a", "train"),)
    )
    run, model = tmp_path / "runs" / "one", tmp_path / "model"
    run.mkdir(parents=True)
    model.mkdir()
    asked = []

    def seconds(self, command, *words):
        asked.append(command)
        trials = asked.count("run") + asked.count("resume")
        pd.DataFrame({"seconds": [4.0] * trials}).to_parquet(run / "trials.parquet")
        pd.DataFrame({"seconds": [1.0, 2.0]}).to_csv(model / "training.csv")
        return 10.0

    monkeypatch.setattr(Version, "seconds", seconds)
    monkeypatch.setattr(Version, "has", lambda self, command, option="": command != "release")
    found = around.around(Version("python", tmp_path), images)
    assert asked == ["--help", "run", "resume", "compare", "export", "retrain", "predict"]
    assert (found["run"], found["resume"], found["retrain"], found["compare"]) == (6.0, 6.0, 7.0, 10.0)
    assert trained(run) == 8.0


def test_the_middle_of_the_rounds_counts():
    assert medians([{"run": 1.0}, {"run": 9.0}, {"run": 2.0}]) == {"run": 2.0}
