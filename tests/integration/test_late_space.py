"""Trials that fail, and a space that raises only after the search has begun."""

import pytest
from optuna.trial import TrialState
from rich.console import Console
from test_search import config
from tiny import write_space

from search_spaces._checking import SAMPLES
from trainables.errors import UserMistake
from tuner.cli.ending import ending
from tuner.runs.journal import load_study
from tuner.tuning.loop import search
from tuner.tuning.resume import resume

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

LATE = f'''"""The first trial diverges: VGG16 has no BatchNorm to hold it at such a rate.
The second one raises: BatchNorm can't train on one picture of 32 pixels at a time.
The space itself raises at the fourth proposal of a search, after those of its checks."""
asked = 0


def space(trial):
    global asked
    asked += 1
    model = trial.suggest_categorical("model", ["vgg16", "resnet18"])
    trial.suggest_categorical("batch_size", [16, 1])
    trial.suggest_float("label_smoothing", 0.0, 0.5)
    if asked == {2 * SAMPLES + 4 + 4}:
        raise ZeroDivisionError("fourth")
    rate = 10.0 if model == "vgg16" else 1e-3
    return {{"learning_rate": rate, "strategy": "full", "dropout": 0.0}}


first_trials = [
    {{"model": "vgg16", "batch_size": 16, "label_smoothing": 0.0}},
    {{"model": "resnet18", "batch_size": 1, "label_smoothing": 0.0}},
    {{"model": "resnet18", "batch_size": 16, "label_smoothing": 0.0}},
    {{"model": "resnet18", "batch_size": 16, "label_smoothing": 0.1}},
]
'''


def words(result):
    console = Console(width=10_000, no_color=True)
    with console.capture() as capture:
        for line in ending(result):
            console.print(line, soft_wrap=True)
    return capture.get()


def test_trials_fail_then_the_space_raises_and_the_search_keeps_what_it_has_and_can_be_resumed(
    tmp_path, pictures
):
    path = write_space(tmp_path, LATE)
    result = search(config(tmp_path, pictures, path, samples=4, max_epochs=1))
    assert (result.exit_status, result.interrupted) == (1, False)
    check_troubled(result.run)
    assert (result.run.path / "best.yaml").exists()
    assert result.run.record["finished"] is None
    said = [line for line in words(result).splitlines() if "ZeroDivisionError" in line]
    assert len(said) == 1
    for word in (str(path), "fourth", f"tuner resume {result.run.path}"):
        assert word in said[0]
    assert "tuner compare" not in words(result)

    write_space(tmp_path, LATE.replace("suggest_float", "no_such_call"))
    with pytest.raises(UserMistake, match="a trial has no no_such_call"):
        resume(result.run.path)
    write_space(tmp_path, LATE.replace('raise ZeroDivisionError("fourth")', "pass"))
    finished = resume(result.run.path)
    assert (finished.exit_status, len(finished.trials)) == (0, 4)
    assert finished.run.record["finished"] is not None
    assert finished.run.record["space_trouble"] is None
    assert "fourth" in finished.run.record["space_edits"][0]["why"]


def check_troubled(run):
    """Of its three trials one diverged, one raised, and one is sound."""
    diverged, raised, sound = run.trials().to_dict("records")
    assert diverged["learning_rate"] == 10.0
    assert (diverged["status"], diverged["reason"], diverged["epochs"]) == ("failed", "diverged", 0)
    assert load_study(run.journal).trials[0].state is TrialState.FAIL
    assert (raised["batch_size"], raised["status"], raised["reason"]) == (1, "failed", "error")
    assert "Traceback" in raised["error"]
    assert list((run.path / "failures").iterdir()) != []
    assert (sound["batch_size"], sound["status"]) == (16, "completed")
