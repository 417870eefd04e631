"""Other programs that write into the run's journal, with Optuna alone and a storage of their own."""

import os
import subprocess
import sys

import pytest
from optuna.storages import JournalStorage
from optuna.trial import TrialState
from tiny import epoch, store, write_space

from tuner.runs.journal import load_study, own_trials
from tuner.runs.trial_table import ENDED_ELSEWHERE
from tuner.tracking.events import events_of
from tuner.tracking.status import read_status

OTHER = """
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState, create_trial

storage = JournalStorage(JournalFileBackend(journal, lock_obj=JournalFileOpenLock(journal)))
study = optuna.load_study(study_name="tuner", storage=storage)
"""

ENQUEUE = 'study.enqueue_trial({"strategy": "full", "learning_rate": 0.05})'
ADD = (
    'study.add_trial(create_trial(params={"learning_rate": 0.02}, value=0.001,'
    ' distributions={"learning_rate": FloatDistribution(1e-4, 1e-1, log=True)}))'
)


def another_program(book, *lines, apart=False):
    """Run `lines` of a script on the journal, as a dashboard or a colleague's does; `apart` in a process of its own."""
    script = f"journal = {str(book.run.journal)!r}\n{OTHER}" + "\n".join(lines)
    if not apart:
        exec(script, {})
        return
    there = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=there)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def space(tmp_path):
    return write_space(tmp_path)


def end(book, trial_id, value):
    book.report(trial_id, epoch(1, value))
    book.finish(trial_id, "completed", "completed")


def test_an_enqueued_trial_is_tried_next_in_its_place_in_the_study(tmp_path, space):
    notes = []
    book = store(tmp_path, space, notes=notes)
    first = book.next()["trial_id"]
    another_program(book, ENQUEUE, apart=True)
    config = book.next()
    assert (config["strategy"], config["learning_rate"]) == ("full", 0.05)
    for trial_id in (first, config["trial_id"]):
        end(book, trial_id, 0.5)
    enqueued = load_study(book.run.journal).trials[1]
    assert (enqueued.state, enqueued.value) == (TrialState.COMPLETE, 0.5)
    assert enqueued.user_attrs["trial_id"] == config["trial_id"]
    assert enqueued.params == {"strategy": "full", "learning_rate": 0.05}
    assert book.standings.rows[config["trial_id"]]["source"] == "enqueued"
    assert notes == []


def test_what_was_enqueued_while_nobody_searched_is_tried_by_a_resume_and_nothing_is_lost(tmp_path, space):
    book = store(tmp_path, space)
    end(book, book.next()["trial_id"], 0.5)
    living = book.next()["trial_id"]
    another_program(book, ENQUEUE, ADD, "study.ask()", apart=True)
    notes = []
    again = store(tmp_path, space, notes=notes)
    assert again.next()["trial_id"] == living
    # Optuna's ask took the enqueued trial, so the other program has it.
    config = again.next()
    assert config["trial_id"].endswith("-00002")
    assert "skipped" in notes[0]
    assert "trials 2, 3 of study.journal" in notes[0]
    for trial_id, value in ((living, 0.25), (config["trial_id"], 0.75)):
        end(again, trial_id, value)
    trials = load_study(again.run.journal).trials
    assert [trial.value for trial in trials] == [0.5, 0.25, None, 0.001, 0.75]
    assert trials[2].intermediate_values == trials[3].intermediate_values == {}
    assert len(store(tmp_path, space).standings.rows) == 3


def test_first_trials_are_all_tried_beside_an_enqueued_one_and_numbers_stay_ours(tmp_path):
    text = (tmp_path / "x").with_suffix(".py")
    first = "\n\nfirst_trials = [{'strategy': 'full', 'learning_rate': 0.01 * n} for n in (1, 2, 3)]\n"
    text.write_text(write_space(tmp_path).read_text() + first)
    book = store(tmp_path, text, samples=5)
    another_program(book, ADD, ENQUEUE)
    rates, numbers = [], []
    while (config := book.next()) is not None:
        rates.append(config["learning_rate"])
        numbers.append(int(config["trial_id"][-5:]))
        end(book, config["trial_id"], 0.1 * len(rates))
        book = store(tmp_path, text, samples=5)
    assert rates[:4] == [0.05, 0.01, 0.02, 0.03]
    assert numbers == [0, 1, 2, 3, 4]
    assert list(own_trials(load_study(book.run.journal))) == numbers


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"learning_rate": 5.0}, "learning_rate=5.0 is outside 0.0001 to 0.1"),
        ({"strategy": "fulll"}, "strategy='fulll' is none of"),
        ({"dropout": 0.5}, "does not ask for dropout=0.5"),
        ({"lerning_rate": 0.5}, "learning_rate"),
    ],
)
def test_an_enqueued_trial_that_the_space_could_not_propose_is_passed_over_with_the_reason(
    tmp_path, space, given, why
):
    notes = []
    book = store(tmp_path, space, notes=notes)
    another_program(book, f"study.enqueue_trial({given!r})")
    config = book.next()
    assert config["trial_id"].endswith("-00000")
    [note] = notes
    assert "enqueued trial 0 of study.journal" in note
    assert why in note
    assert book.trouble is None
    assert load_study(book.run.journal).trials[0].state is TrialState.WAITING


def test_what_an_enqueued_trial_leaves_open_the_sampler_fills_in(tmp_path, space):
    book = store(tmp_path, space)
    another_program(book, 'study.enqueue_trial({"learning_rate": 0.03})')
    config = book.next()
    assert config["learning_rate"] == 0.03
    assert config["strategy"] in ("full", "feature_extractor")


def test_a_configuration_that_was_tried_is_not_tried_again_because_it_is_enqueued(tmp_path, space):
    notes = []
    book = store(tmp_path, space, notes=notes)
    another_program(book, ENQUEUE, ENQUEUE)
    assert book.next()["learning_rate"] == 0.05
    assert book.next()["learning_rate"] != 0.05
    assert "this configuration has been tried already" in notes[0]


def test_an_enqueued_trial_is_taken_up_again_by_whoever_comes_after_a_death_in_between(
    tmp_path, space, monkeypatch
):
    class Died(BaseException):
        pass

    def die(*told):
        raise Died

    book = store(tmp_path, space)
    another_program(book, ENQUEUE)
    with monkeypatch.context() as patched:
        patched.setattr(JournalStorage, "set_trial_state_values", die)
        with pytest.raises(Died):
            book.next()
    again = store(tmp_path, space)
    assert (again.standings.rows, again.live) == ({}, {})
    config = again.next()
    assert (config["learning_rate"], config["trial_id"][-5:]) == (0.05, "00000")
    end(again, config["trial_id"], 0.5)
    [trial] = load_study(again.run.journal).trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)


def test_a_parameter_that_another_program_declared_otherwise_ends_no_search(tmp_path, space):
    notes = []
    book = store(tmp_path, space, notes=notes)
    other = ADD.replace("FloatDistribution(1e-4, 1e-1, log=True)", "CategoricalDistribution((0.02, 0.03))")
    another_program(book, other, ENQUEUE)
    end(book, book.next()["trial_id"], 0.5)
    assert any("enqueued trial 1" in note for note in notes)
    assert [row["value"] for row in store(tmp_path, space).standings.rows.values()] == [0.5]


def test_epochs_of_ours_never_go_into_a_trial_of_another_program(tmp_path, space):
    book = store(tmp_path, space, notes=[])
    another_program(book, "study.ask()", "study.ask()")
    trial_id = book.next()["trial_id"]
    end(book, trial_id, 0.5)
    *others, ours = load_study(book.run.journal).trials
    assert [trial.intermediate_values for trial in others] == [{}, {}]
    assert (ours.intermediate_values, ours.value) == ({1: 0.5}, 0.5)


@pytest.mark.parametrize(
    ("tell", "status"), [("value=0.001", "stopped"), ("state=TrialState.FAIL", "failed")]
)
def test_a_trial_of_ours_that_another_program_ended_stops_and_keeps_what_it_had_measured(
    tmp_path, space, tell, status
):
    notes = []
    book = store(tmp_path, space, notes=notes)
    trial_id = book.next()["trial_id"]
    book.report(trial_id, epoch(1, 0.5))
    told = f"study.tell(0, {tell.removeprefix('value=')})" if "value" in tell else f"study.tell(0, {tell})"
    another_program(book, told, apart=status == "stopped")
    reopened = store(tmp_path, space).standings.rows
    book.report(trial_id, epoch(2, 0.4))
    assert (book.run.path / "stop" / trial_id).exists()
    book.finish(trial_id, "completed", "completed")
    for rows, epochs in ((book.standings.rows, 2), (reopened, 1), (store(tmp_path, space).standings.rows, 2)):
        row = rows[trial_id]
        assert (row["status"], row["reason"], row["epochs"]) == (status, ENDED_ELSEWHERE, epochs)
    book.write_table()
    [shown] = read_status(book.run.path).rows
    assert shown["reason"] == ENDED_ELSEWHERE


def test_trials_copied_from_another_run_are_not_taken_for_ours(tmp_path, space):
    (tmp_path / "other").mkdir()
    other = store(tmp_path / "other", write_space(tmp_path / "other"))
    end(other, other.next()["trial_id"], 0.001)
    book = store(tmp_path, space)
    end(book, book.next()["trial_id"], 0.5)
    copied = (
        f"other = {str(other.run.journal)!r}",
        "theirs = JournalStorage(JournalFileBackend(other, lock_obj=JournalFileOpenLock(other)))",
        "study.add_trials(optuna.load_study(study_name='tuner', storage=theirs).trials)",
    )
    another_program(book, *copied)
    again = store(tmp_path, space, notes=[])
    assert [row["value"] for row in again.standings.rows.values()] == [0.5]
    assert again.next()["trial_id"].endswith("-00001")


def test_status_and_logs_show_our_trials_alone(tmp_path, space):
    book = store(tmp_path, space)
    end(book, book.next()["trial_id"], 0.5)
    another_program(book, ENQUEUE, ADD)
    found = read_status(book.run.path)
    assert (len(found.rows), len(found.live)) == (1, 0)
    assert len(list(events_of(book.run))) == 2
