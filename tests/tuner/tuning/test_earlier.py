from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from pictures import write_pictures
from tiny import epoch, store, write_space

import search_spaces
from trainables.errors import InvalidValue, RunProblem
from tuner.api import _config
from tuner.cli.app import commands
from tuner.runs.directory import Run
from tuner.tuning.config import resolve, search_config
from tuner.tuning.earlier import find_earlier
from tuner.tuning.loop import open_store
from tuner.tuning.prepare import prepare, prepared_from

BEFORE = '''"""What was searched before."""


def space(trial):
    trial.suggest_categorical("model", ["resnet18", "vgg16"])
    trial.suggest_float("learning_rate", 1e-6, 1e-1, log=True)
    trial.suggest_categorical("batch_size", [8, 16])
    return {"strategy": "full"}


first_trials = [
    {"model": "vgg16", "learning_rate": 1e-3, "batch_size": 8},
    {"model": "resnet18", "learning_rate": 1e-2, "batch_size": 8},
    {"model": "resnet18", "learning_rate": 1e-6, "batch_size": 8},
    {"model": "resnet18", "learning_rate": 1e-4, "batch_size": 8},
    {"model": "resnet18", "learning_rate": 1e-3, "batch_size": 16},
    {"model": "resnet18", "learning_rate": 2e-3, "batch_size": 8},
]
'''

NOW = '''"""Another space: one model, the strategy under a name of its own."""


def space(trial):
    trial.suggest_categorical("strategy@resnet18", ["full", "feature_extractor"])
    trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    return {"model": "resnet18", "batch_size": 8}


first_trials = [{"strategy@resnet18": "feature_extractor", "learning_rate": 1e-3}]
'''


@pytest.fixture
def before(tmp_path):
    """A run whose trials are the better the earlier they are in the list of its first trials."""
    folder = tmp_path / "before"
    folder.mkdir()
    book = store(folder, write_space(folder, BEFORE), samples=6)
    for number in range(6):
        trial_id = book.next()["trial_id"]
        book.report(trial_id, epoch(1, 0.1 + 0.1 * number))
        book.finish(trial_id, "completed", "completed")
    book.write_table()
    return book.run


@pytest.fixture
def now(tmp_path):
    return search_spaces.load(str(write_space(tmp_path, NOW, "now")))


OVERRIDES = {"max_epochs": 4}


def test_the_best_that_the_space_could_have_proposed_are_taken_by_its_names(before, now):
    found = find_earlier([before.path], now, OVERRIDES, {})
    assert [one["parameters"] for one in found.taken] == [
        {"strategy@resnet18": "full", "learning_rate": 1e-2},
        {"strategy@resnet18": "full", "learning_rate": 1e-4},
    ]
    assert [one["trial"][-5:] for one in found.taken] == ["00001", "00003"]
    kept = [dict(one) for one in found.taken]
    assert yaml.safe_load(yaml.safe_dump(kept)) == kept


def test_what_is_passed_over_is_named_with_the_reason(before, now):
    found = find_earlier([before.path], now, OVERRIDES, {})
    assert len(found.passed_over) == 2
    for text, words in zip(
        found.passed_over,
        (["vgg16-full-00000", "model", "'resnet18'", "'vgg16'"], ["00002", "learning_rate", "outside 1e-05"]),
        strict=True,
    ):
        assert "run: " in text
        for word in words:
            assert word in text


def test_a_setting_of_the_run_does_not_matter_for_what_fits(before, now):
    found = find_earlier([before.path], now, {**OVERRIDES, "batch_size": 32}, {})
    assert len(found.taken) == 2


def test_a_restriction_counts(before, now):
    found = find_earlier([before.path], now, OVERRIDES, {"strategy": ("feature_extractor",)})
    assert found.taken == ()
    assert len(found.passed_over) == 6


def test_equal_configurations_of_two_runs_come_once(before, now):
    assert len(find_earlier([before.path, before.path], now, OVERRIDES, {}).taken) == 2


def test_a_folder_that_is_no_run_and_a_grid_are_refused(tmp_path, before, now):
    with pytest.raises(RunProblem, match="is not a run directory"):
        find_earlier([tmp_path], now, OVERRIDES, {})
    grid = search_spaces.load("googlenet_grid")
    with pytest.raises(InvalidValue, match=r"--start-from .* is a fixed list"):
        find_earlier([before.path], grid, OVERRIDES, {})


def test_the_search_begins_with_them_and_says_so(tmp_path, before, now):
    taken = find_earlier([before.path], now, OVERRIDES, {}).taken
    book = store(tmp_path, now.reference, samples=5, earlier=taken)
    for _ in range(5):
        trial = book.next()
        book.report(trial["trial_id"], epoch(1, 0.5))
        book.finish(trial["trial_id"], "completed", "completed")
    book.write_table()
    table = book.run.trials()
    assert table["source"].tolist() == ["earlier run", "earlier run", "first", "tpe", "tpe"]
    assert table["learning_rate"].tolist()[:3] == [1e-2, 1e-4, 1e-3]


def test_they_are_found_before_anything_is_touched(before, now):
    config = search_config(space=now.reference, max_epochs=4, start_from=(before.path,))
    assert len(resolve(config).earlier.taken) == 2
    assert resolve(search_config(space=now.reference, max_epochs=4)).earlier.taken == ()


def test_python_takes_one_run_or_several(before):
    for given in (before.path, str(before.path), [before.path]):
        assert _config("all_models", None, {"start_from": given}).start_from == (before.path,)


def test_the_command_refuses_a_run_that_is_not_there(tmp_path):
    words = ["run", "--space", "all_models", "--start-from", f"{tmp_path / 'a'},{tmp_path / 'b'}"]
    result = CliRunner().invoke(commands, [*words, "--runs-dir", str(tmp_path)])
    assert isinstance(result.exception, RunProblem) or result.exit_code == 2
    assert "is not a run directory" in result.output + str(result.exception)


def test_what_a_run_begins_with_is_in_its_record_and_comes_back(tmp_path, before, now):
    pictures = tmp_path / "pictures"
    write_pictures(pictures, {"blue": 12, "green": 12})
    config = search_config(
        space=now.reference,
        data=pictures,
        weights="none",
        image_size=32,
        max_epochs=4,
        split="0.6,0.2,0.2",
        runs_dir=tmp_path,
        name="new",
        start_from=(before.path,),
        until_settled=True,
    )
    new = prepare(config)
    again = prepared_from(Run.open(new.run.path), new.space, Path(new.context.cache))
    assert again.earlier == new.earlier
    assert [one["run"] for one in again.earlier] == [str(before.path)] * 2
    assert (again.prior, again.until_settled) == (True, True)
    book = open_store(again)
    assert book.settling is not None
    trial = book.next()
    assert (trial["strategy"], trial["learning_rate"]) == ("full", 1e-2)
    assert [one.source for one in book.live.values()] == ["earlier run"]
