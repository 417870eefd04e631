"""One entry in the register makes a metric that a search can optimise."""

import subprocess
import sys

import click
import pytest
from rich.console import Console
from tiny import epoch, store, write_space

from trainables.metrics import METRICS, Metric
from tuner.cli import app
from tuner.console.reporter import EQUAL, leaderboard_table
from tuner.evaluation.comparison.finalists import choose_finalists
from tuner.runs.journal import load_study
from tuner.tracking.events import improved
from tuner.tuning.config import resolve, search_config


@pytest.fixture
def added(monkeypatch):
    """The register with one more."""
    more = {**METRICS, "train_accuracy": Metric("train_accuracy", "maximize")}
    for name, module in list(sys.modules.items()):
        if name.startswith(("tuner.", "trainables.")) and getattr(module, "METRICS", None) is METRICS:
            monkeypatch.setattr(module, "METRICS", more)
    return "train_accuracy"


def test_the_choices_of_the_command_are_the_register():
    [option] = [one for one in app.commands.commands["run"].params if one.name == "metric"]
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(METRICS)
    code = "import sys, tuner.cli.app; print({'torch', 'ray', 'optuna', 'pandas'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"


def test_an_added_metric_is_optimised_from_the_config_to_the_finalists(tmp_path, added):
    space = write_space(tmp_path)
    assert resolve(search_config(space=str(space), metric=added))
    book = store(tmp_path, space, metric=added, samples=2)
    for values in ((0.2, 0.9, 0.4), (0.3, 0.5, 0.1)):
        trial_id = book.next()["trial_id"]
        for number, value in enumerate(values, start=1):
            book.report(trial_id, epoch(number, 1.0, train_accuracy=value))
        (book.run.alive(trial_id) / "best-00002.safetensors").write_bytes(b"")
        book.finish(trial_id, "completed", "completed")
    book.write_table()
    assert load_study(book.run.journal).direction.name == "MAXIMIZE"
    assert [row["value"] for row in book.standings.rows.values()] == [0.9, 0.5]
    assert book.standings.best()["value"] == 0.9
    assert improved({1: 0.2, 2: 0.9}, 2, added)
    assert not improved({1: 0.9, 2: 0.2}, 2, added)
    console = Console(width=200)
    with console.capture() as said:
        console.print(leaderboard_table(list(book.standings.rows.values()), added))
    assert said.get().index("0.9") < said.get().index("0.5")
    assert EQUAL not in said.get()
    for trial_id in book.standings.rows:
        book.run.weights(trial_id).write_bytes(b"")
    assert [one.value for one in choose_finalists([book.run], 2)[0]] == [0.9, 0.5]
