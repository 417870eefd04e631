"""Whose weights are kept: through kills between two lines, and for trials that a time budget cut."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from tiny import epoch, store, write_space

from trainables.checkpoint import best_name
from tuner.runs.journal import load_study
from tuner.runs.trial_table import BUDGET_OVER

KILLED = """
import os, signal, sys
from pathlib import Path
from tiny import epoch, store
from trainables.checkpoint import best_name
from tuner.tuning.told import Told

folder, ending, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
book = store(folder, folder / "tiny.py", keep=1, samples=3)
trial_id = book.next()["trial_id"]
for place in range(1, number + 1):
    book.report(trial_id, epoch(place, 1.0 / place))
(book.run.alive(trial_id) / best_name(number)).write_bytes(b"epoch %d" % number)


def die(*told, **more):
    os.kill(os.getpid(), signal.SIGKILL)


Told.end = die
book.cut_off(trial_id) if ending == "cut" else book.finish(trial_id, "stopped", "ASHA")
die()
"""


def in_a_killed_process(folder, ending, number):
    """A process is killed after it kept the weights of a trial of `number` epochs, before it told the end."""
    there = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, str(folder), ending, str(number)]
    died = subprocess.run(command, capture_output=True, text=True, env=there)
    assert died.returncode == -signal.SIGKILL, died.stderr


def open_again(folder):
    return store(folder, folder / "tiny.py", keep=1, samples=3)


@pytest.fixture
def folder(tmp_path):
    write_space(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What a process of two epochs left that was killed at an end, and another after a cut, by that name."""
    left = {}
    for ending in ("end", "cut"):
        left[ending] = tmp_path_factory.mktemp(ending)
        write_space(left[ending])
        in_a_killed_process(left[ending], ending, 2)
    return left


@pytest.fixture
def killed_at_end(killed, tmp_path):
    return shutil.copytree(killed["end"], tmp_path / "left")


@pytest.fixture
def killed_after_cut(killed, tmp_path):
    return shutil.copytree(killed["cut"], tmp_path / "left")


def test_weights_kept_just_before_a_kill_do_not_stay_under_the_better_row_that_comes_later(killed_at_end):
    [kept] = (killed_at_end / "run" / "weights").iterdir()
    assert kept.read_bytes() == b"epoch 2"

    book = open_again(killed_at_end)
    assert list((killed_at_end / "run" / "weights").iterdir()) == []
    trial_id = book.next()["trial_id"]
    assert trial_id == kept.stem
    book.report(trial_id, epoch(3, 0.1))
    (book.run.alive(trial_id) / best_name(2)).unlink()
    (book.run.alive(trial_id) / best_name(3)).write_bytes(b"epoch 3")
    row = book.finish(trial_id, "completed", "completed")
    assert (row.best_epoch, kept.read_bytes()) == (3, b"epoch 3")


def test_a_trial_that_goes_on_after_such_a_kill_and_gets_no_better_still_has_its_weights(killed_at_end):
    book = open_again(killed_at_end)
    trial_id = book.next()["trial_id"]
    book.report(trial_id, epoch(3, 0.9))
    row = book.finish(trial_id, "completed", "completed")
    assert (row.best_epoch, book.run.weights(trial_id).read_bytes()) == (2, b"epoch 2")


def test_a_kill_before_the_end_is_told_costs_nobody_else_the_weights(folder):
    book = open_again(folder)
    first = book.next()["trial_id"]
    book.report(first, epoch(1, 0.7))
    (book.run.alive(first) / best_name(1)).write_bytes(b"first")
    book.finish(first, "completed", "completed")
    in_a_killed_process(folder, "end", 2)
    again = open_again(folder)
    second = again.next()["trial_id"]
    again.finish(second, "failed", "diverged", "loss is nan")
    assert again.standings.best()["trial_id"] == first
    assert [file.read_bytes() for file in (folder / "run" / "weights").iterdir()] == [b"first"]


def test_what_a_time_budget_cut_is_there_after_a_kill_as_row_and_weights_and_goes_on(killed_after_cut):
    book = open_again(killed_after_cut)
    best = book.standings.best()
    assert (best["status"], best["reason"], best["best_epoch"]) == ("stopped", BUDGET_OVER, 2)
    assert book.run.weights(best["trial_id"]).read_bytes() == b"epoch 2"
    assert book.next()["trial_id"] == best["trial_id"]
    assert load_study(book.run.journal).trials[0].state.name == "RUNNING"


def test_a_second_cut_keeps_the_weights_of_its_own_best_epoch(killed_after_cut):
    in_a_killed_process(killed_after_cut, "cut", 4)
    book = open_again(killed_after_cut)
    assert book.standings.best()["best_epoch"] == 4
    assert book.run.weights(book.standings.best()["trial_id"]).read_bytes() == b"epoch 4"


def test_a_cut_trial_that_ends_counts_by_its_end_alone(killed_after_cut):
    book = open_again(killed_after_cut)
    trial_id = book.next()["trial_id"]
    book.report(trial_id, epoch(3, 0.1))
    (book.run.alive(trial_id) / best_name(3)).write_bytes(b"epoch 3")
    book.finish(trial_id, "completed", "completed")
    book.write_table()
    [row] = book.run.trials().to_dict("records")
    assert (row["status"], row["best_epoch"], row["epochs"]) == ("completed", 3, 3)
    assert book.run.weights(trial_id).read_bytes() == b"epoch 3"
    assert not book.standings.cut
    assert not book.run.alive(trial_id).exists()


def test_a_search_that_goes_on_and_is_interrupted_still_counts_what_was_cut(killed_after_cut):
    book = open_again(killed_after_cut)
    book.report(book.next()["trial_id"], epoch(3, 0.1))
    book.write_table()
    [row] = book.run.trials().to_dict("records")
    assert (row["best_epoch"], row["reason"]) == (2, BUDGET_OVER)
    assert book.run.weights(row["trial_id"]).read_bytes() == b"epoch 2"


def test_at_the_end_of_a_time_budget_every_living_trial_counts_also_one_that_was_not_begun_again(folder):
    book = open_again(folder)
    first, second = book.next()["trial_id"], book.next()["trial_id"]
    book.report(first, epoch(1, 0.5))
    # Interrupted, and opened again with a budget that is over before anybody begins.
    again = open_again(folder)
    again.cut_off_all()
    again.write_table()
    assert again.run.trials()["trial_id"].tolist() == [first]
    assert again.standings.best()["reason"] == BUDGET_OVER
    assert set(again.live) == {first, second}
