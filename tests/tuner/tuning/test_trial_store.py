import json

import optuna
import pytest
from optuna.trial import TrialState
from tiny import epoch, store, write_space

from trainables.checkpoint import best_name
from tuner.runs.journal import load_study, repair

FINITE = '''"""Three configurations in all."""


def space(trial):
    trial.suggest_categorical("dropout", [0.1, 0.2, 0.3])
    return {"model": "resnet18", "strategy": "full"}
'''


@pytest.fixture
def space(tmp_path):
    return write_space(tmp_path)


def begin(book):
    return book.next()["trial_id"]


def write_best(book, trial_id, number):
    (book.run.alive(trial_id) / best_name(number)).write_bytes(b"weights of " + trial_id.encode())


def test_a_completed_trial_is_told_with_its_best_epoch_not_its_last(tmp_path, space):
    book = store(tmp_path, space)
    trial_id = begin(book)
    for number, value in enumerate([0.9, 0.3, 0.7], start=1):
        book.report(trial_id, epoch(number, value))
    row = book.finish(trial_id, "completed", "patience")
    told = load_study(book.run.journal).trials[0]
    assert (told.state, told.value) == (TrialState.COMPLETE, 0.3)
    assert told.intermediate_values == {1: 0.9, 2: 0.3, 3: 0.7}
    assert (row.best_epoch, row.value, row.epochs, row.seconds) == (2, 0.3, 3, 3.0)


def test_a_metric_that_grows_takes_its_largest_epoch(tmp_path, space):
    book = store(tmp_path, space, metric="val_accuracy")
    trial_id = begin(book)
    for number, value in enumerate([5.0, 1.0, 3.0], start=1):
        book.report(trial_id, epoch(number, value))
    row = book.finish(trial_id, "completed", "completed")
    assert (row.best_epoch, row.value) == (2, 0.9)
    assert load_study(book.run.journal).direction.name == "MAXIMIZE"


def test_a_stopped_trial_is_pruned_with_all_its_values(tmp_path, space):
    book = store(tmp_path, space)
    trial_id = begin(book)
    for number, value in enumerate([0.9, 0.8], start=1):
        book.report(trial_id, epoch(number, value))
    book.finish(trial_id, "stopped", "ASHA")
    told = load_study(book.run.journal).trials[0]
    assert told.state is TrialState.PRUNED
    assert told.intermediate_values == {1: 0.9, 2: 0.8}


def test_a_failed_trial_is_fail_and_its_traceback_is_kept(tmp_path, space):
    book = store(tmp_path, space)
    trial_id = begin(book)
    book.finish(trial_id, "failed", "diverged", "loss is nan")
    book.write_table()
    row = book.run.trials().iloc[0]
    assert load_study(book.run.journal).trials[0].state is TrialState.FAIL
    assert (row["status"], row["reason"], row["error"]) == ("failed", "diverged", "loss is nan")
    assert (book.run.path / "failures" / f"{trial_id}.txt").read_text() == "loss is nan"


def test_what_a_worker_wrote_after_its_trial_had_ended_goes_at_the_end_and_living_trials_stay(
    tmp_path, space
):
    book = store(tmp_path, space)
    ended, living = begin(book), begin(book)
    book.report(ended, epoch(1, 0.5))
    book.finish(ended, "stopped", "ASHA")
    late = book.run.alive(ended)
    late.mkdir()
    (late / "state.pt").write_bytes(b"late")
    book.clear_ended()
    assert [folder.name for folder in (book.run.path / "alive").iterdir()] == [living]


def test_the_journal_and_the_table_agree_row_by_row(tmp_path, space):
    book = store(tmp_path, space)
    ends = ["completed", "stopped", "failed", "completed", "stopped", "completed"]
    for place, end in enumerate(ends):
        trial_id = begin(book)
        book.report(trial_id, epoch(1, 0.5 + place / 10))
        book.finish(trial_id, end, end)
    book.write_table()
    states = {"completed": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}
    table = book.run.trials()
    for told, (_, row) in zip(load_study(book.run.journal).trials, table.iterrows(), strict=True):
        assert told.state.name == states[row["status"]]
        assert told.user_attrs["trial_id"] == row["trial_id"]
        assert told.params["learning_rate"] == row["learning_rate"]
        assert (
            told.value == (row["value"] if row["status"] == "completed" else None)
            or told.state.name == "PRUNED"
        )


def test_an_epoch_reported_twice_counts_once(tmp_path, space):
    book = store(tmp_path, space)
    trial_id = begin(book)
    assert book.report(trial_id, epoch(1, 0.9))
    assert not book.report(trial_id, epoch(1, 0.9))
    assert len(book.run.epochs(trial_id)) == 1


def test_after_all_samples_nothing_is_proposed(tmp_path, space):
    book = store(tmp_path, space, samples=2)
    for _ in range(2):
        book.finish(begin(book), "failed", "error", "x")
    assert book.next() is None


def test_no_configuration_is_proposed_twice_and_a_finite_space_ends(tmp_path):
    book = store(tmp_path, write_space(tmp_path, FINITE), samples=10)
    seen = []
    while (config := book.next()) is not None:
        seen.append(config["dropout"])
        book.report(config["trial_id"], epoch(1, config["dropout"]))
        book.finish(config["trial_id"], "completed", "completed")
    assert sorted(seen) == [0.1, 0.2, 0.3]
    assert book.exhausted
    assert len(load_study(book.run.journal).trials) == 3


def test_the_same_seed_and_history_propose_the_same(tmp_path, space):
    configs = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        book = store(tmp_path / folder, space, samples=14)
        proposed = []
        for place in range(14):
            config = book.next()
            proposed.append(config)
            book.report(config["trial_id"], epoch(1, 0.1 * place))
            book.finish(config["trial_id"], "completed", "completed")
        configs.append(proposed)
    assert configs[0] == configs[1]


def test_a_reopened_ledger_goes_on_as_if_nobody_had_died(tmp_path, space):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()

    def play(folder, deaths):
        book, proposed = store(tmp_path / folder, space, samples=14), []
        while (config := book.next()) is not None:
            if len(proposed) in deaths:
                deaths.remove(len(proposed))
                book.report(config["trial_id"], epoch(1, 9.0))
                book = store(tmp_path / folder, space, samples=14)
                continue
            proposed.append(config)
            book.report(config["trial_id"], epoch(1, 9.0))
            book.report(config["trial_id"], epoch(2, 0.1 * len(proposed)))
            book.finish(config["trial_id"], "completed", "completed")
        book.write_table()
        return proposed, book.run.trials(), book.run.epochs()

    whole, broken = play("whole", set()), play("broken", {0, 3, 11, 13})
    assert broken[0] == whole[0]
    assert broken[1].equals(whole[1])
    assert broken[2].equals(whole[2])


def test_a_torn_last_line_of_the_journal_is_mended(tmp_path, space):
    book = store(tmp_path, space)
    book.finish(begin(book), "failed", "error", "x")
    with book.run.journal.open("ab") as file:
        file.write(b'{"op_code": 5, "worker_id"')
    (book.run.path / "study.journal.lock").touch()
    repair(book.run.journal)
    again = store(tmp_path, space)
    assert [row["status"] for row in again.standings.rows.values()] == ["failed"]
    assert begin(again).endswith("00001")


def test_no_trial_is_ever_half_asked_in_the_journal(tmp_path, space):
    book = store(tmp_path, space)
    begin(book)
    created = [
        record
        for record in map(json.loads, book.run.journal.read_text().splitlines())
        if record["op_code"] == optuna.storages.journal._storage.JournalOperation.CREATE_TRIAL
    ]
    assert len(created) == 1
    assert set(created[0]["params"]) == {"strategy", "learning_rate"}
    assert set(created[0]["user_attrs"]) == {"trial_id", "config", "source"}


def test_weights_are_kept_for_the_top_and_for_every_combination(tmp_path, space):
    book = store(tmp_path, space, samples=8, keep=2)
    values, strategies = {}, {}
    for value in (0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.9):
        config = book.next()
        trial_id = config["trial_id"]
        values[trial_id], strategies[trial_id] = value, config["strategy"]
        book.report(trial_id, epoch(1, value))
        write_best(book, trial_id, 1)
        book.finish(trial_id, "completed", "completed")
        assert not book.run.alive(trial_id).exists()
    ranked = sorted(values, key=values.__getitem__)
    expected = set(ranked[:2])
    for strategy in ("full", "feature_extractor"):
        expected.add(next(trial for trial in ranked if strategies[trial] == strategy))
    assert {file.stem for file in (book.run.path / "weights").iterdir()} == expected


def test_a_worker_that_ran_out_of_memory_is_tried_again_in_smaller_parts(tmp_path, space):
    book = store(tmp_path, space)
    trial_id = begin(book)
    assert book.retry(trial_id, "ray.exceptions.OutOfMemoryError: Task was killed", max_failures=2)
    assert book.next()["trial_id"] == trial_id
    assert (book.run.alive(trial_id) / "split").read_text() == "2"
    assert book.retry(trial_id, "the node died", max_failures=2)
    assert book.next()["trial_id"] == trial_id
    assert (book.run.alive(trial_id) / "split").read_text() == "2"
    assert not book.retry(trial_id, "the node died", max_failures=2)
    book.report(trial_id, epoch(1, 0.5))
    assert book.finish(trial_id, "completed", "completed").retries == 2


LATE = '''"""Raises at its third proposal."""
asked = 0


def space(trial):
    global asked
    asked += 1
    trial.suggest_float("dropout", 0.0, 0.5)
    if asked == 3:
        raise ZeroDivisionError("third")
    return {"model": "resnet18", "strategy": "full"}
'''


def test_a_space_that_raises_late_ends_the_proposals_and_nothing_else(tmp_path):
    path = write_space(tmp_path, LATE)
    book = store(tmp_path, path, samples=6)
    first, second = begin(book), begin(book)
    assert book.next() is None
    assert book.trouble == f"space '{path}' fails: ZeroDivisionError: third (line 10)"
    assert book.run.record["space_trouble"] == book.trouble
    assert book.next() is None
    assert set(book.live) == {first, second}
    book.report(first, epoch(1, 0.5))
    assert book.finish(first, "completed", "completed").value == 0.5
    assert book.retry(second, "died", 2)
    assert book.next()["trial_id"] == second
    assert len(load_study(book.run.journal).trials) == 2


def test_a_mended_space_goes_on_where_it_failed(tmp_path):
    book = store(tmp_path, write_space(tmp_path, LATE), samples=4)
    begin(book), begin(book)
    assert book.next() is None
    again = store(tmp_path, write_space(tmp_path, LATE.replace("asked == 3", "False")), samples=4)
    numbers = [begin(again)[-5:] for _ in range(4)]
    assert numbers == ["00000", "00001", "00002", "00003"]
    assert again.trouble is None


LATE_CHOICES = '''"""Offers other batch sizes in its third proposal."""
asked = 0


def space(trial):
    global asked
    asked += 1
    trial.suggest_float("dropout", 0.0, 0.5)
    trial.suggest_categorical("batch_size", [16, 32] if asked > 2 else [8, 16])
    return {"model": "resnet18", "strategy": "full"}
'''


def test_choices_that_change_late_are_named_with_the_remedy(tmp_path):
    book = store(tmp_path, write_space(tmp_path, LATE_CHOICES), samples=6)
    begin(book), begin(book)
    assert book.next() is None
    for words in (
        "the choices 8, 16 in one trial",
        "the choices 16, 32 in another",
        "batch_size@1",
        "line 9",
    ):
        assert words in book.trouble
