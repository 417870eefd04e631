"""A space that raises only after the search has begun."""

import pytest
from rich.console import Console
from test_search import config
from tiny import write_space

from search_spaces._checking import SAMPLES
from trainables.errors import UserMistake
from tuner.cli.ending import ending
from tuner.tuning.loop import search
from tuner.tuning.resume import resume

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

LATE = f'''"""Raises at the third proposal of a search, after those of its check and of its models."""
asked = 0


def space(trial):
    global asked
    asked += 1
    trial.suggest_float("dropout", 0.0, 0.5)
    if asked == {2 * SAMPLES + 3}:
        raise ZeroDivisionError("third")
    return {{"model": "mobilenet_v2", "strategy": "full", "batch_size": 16}}
'''


def words(result):
    console = Console(width=10_000, no_color=True)
    with console.capture() as capture:
        for line in ending(result):
            console.print(line, soft_wrap=True)
    return capture.get()


def test_a_search_whose_space_raises_late_keeps_what_it_has_and_can_be_resumed(tmp_path, pictures):
    path = write_space(tmp_path, LATE)
    result = search(config(tmp_path, pictures, path, samples=4, max_epochs=1, concurrent=2))
    assert (result.exit_status, result.interrupted) == (1, False)
    assert set(result.trials["status"]) == {"completed"}
    assert len(result.trials) == 2
    assert (result.run.path / "best.yaml").exists()
    assert result.run.record["finished"] is None
    said = [line for line in words(result).splitlines() if "ZeroDivisionError" in line]
    assert len(said) == 1
    for word in (str(path), "third", f"tuner resume {result.run.path}"):
        assert word in said[0]
    assert "tuner compare" not in words(result)

    write_space(tmp_path, LATE.replace("suggest_float", "no_such_call"))
    with pytest.raises(UserMistake, match="a trial has no no_such_call"):
        resume(result.run.path)
    write_space(tmp_path, LATE.replace('raise ZeroDivisionError("third")', "pass"))
    finished = resume(result.run.path)
    assert (finished.exit_status, len(finished.trials)) == (0, 4)
    assert finished.run.record["finished"] is not None
    assert finished.run.record["space_trouble"] is None
    assert "third" in finished.run.record["space_edits"][0]["why"]
