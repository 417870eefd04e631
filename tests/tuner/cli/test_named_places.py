"""Wherever a person names a place to write: one sentence that names it, before the work."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_run import make_run
from pictures import write_pictures
from tiny import write_space

from trainables.errors import InvalidValue
from tuner.cli.app import commands

LONG = "n" * 300


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "file").write_text("x")
    write_pictures(tmp_path / "pictures", {"a": 12, "b": 12})
    write_space(tmp_path)
    return tmp_path


RUN = ["run", "--space", "./tiny.py", "--data", "pictures", "--weights", "none", "--image-size", "32"]
WORDS = [
    ([*RUN, "--runs-dir", "file"], "--runs-dir"),
    ([*RUN, "--runs-dir", "file/below"], "--runs-dir"),
    ([*RUN, "--storage", "file/below"], "--storage"),
    ([*RUN, "--name", LONG], "--name"),
    ([*RUN, "--name", "a/b"], "--name"),
    ([*RUN, "--name", ".a"], "--name"),
    (["grafana", "--out", "file/below"], "--out"),
    (["grafana", "--out", LONG], "--out"),
    (["predict", "m", "pictures", "--out", "file/p.csv"], "--out"),
    (["predict", "m", "pictures", "--out", "nowhere/p.csv"], "--out"),
    (["predict", "m", "pictures", "--explain", "--explain-dir", "file/below"], "--explain-dir"),
    (["release", "run", "--out", "file/below"], "--out"),
    (["release", "run", "--out", LONG], "--out"),
    (["retrain", "best.yaml", "--out", "file/below"], "--out"),
    (["retrain", "best.yaml", "--out", LONG], "--out"),
]


@pytest.mark.parametrize(("words", "option"), WORDS, ids=lambda value: "-".join(value)[-40:])
def test_a_place_that_can_not_be_written_is_refused_before_the_work(home, words, option):
    before = sorted(home.iterdir())
    said = CliRunner().invoke(commands, words)
    assert isinstance(said.exception, InvalidValue), said.output
    assert str(said.exception).startswith(option)
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize(
    "words", [["export", "run", "--out", "file/best.yaml"], ["compare", "run", "--out", "file/r"]]
)
def test_a_place_for_what_comes_of_a_run_is_tried_first(home, words, monkeypatch):
    make_run(home / "run")
    monkeypatch.setattr("tuner.evaluation.compare._score_all", lambda *_: pytest.fail("scored"))
    said = CliRunner().invoke(commands, words)
    assert isinstance(said.exception, InvalidValue), said.output
    assert str(said.exception).startswith("--out file/")
    assert not list(Path("run").glob("scor*"))
