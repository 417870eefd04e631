from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher
from tiny import epoch, store, write_space

from trainables.image_losses import LOSSES
from tuner.runs.journal import load_study
from tuner.tuning.scheduler import FairASHA
from tuner.tuning.searcher import OptunaSearcher, SearcherCallback


@pytest.fixture
def book(tmp_path):
    return store(tmp_path, write_space(tmp_path), samples=1)


def searcher_of(book, deadline=None, max_failures=2):
    scheduler = FairASHA("val_loss", None, deadline)
    return OptunaSearcher(book, scheduler, lambda: 2, max_failures)


def test_the_search_is_not_over_while_a_trial_lives_that_may_have_to_be_tried_again(book):
    searcher = searcher_of(book)
    first = searcher.suggest("a")
    assert searcher.suggest("b") is None
    searcher.on_trial_complete("a", error=True)
    assert searcher.suggest("c") == first
    assert searcher.suggest("d") is None
    last = epoch(1, 0.5, done=True, reason="completed")
    SearcherCallback(searcher).on_trial_result(1, [], SimpleNamespace(trial_id="c"), last)
    searcher.on_trial_complete("c", result=last)
    assert searcher.suggest("e") == Searcher.FINISHED
    [row] = book.standings.rows.values()
    assert (row["status"], row["epochs"], row["applied_loss"]) == ("completed", 1, "cross-entropy")


def cut_row(book, trial_id):
    """How the table names the trial, as (status, reason, epochs); None where it has no row."""
    book.write_table()
    rows = book.run.trials().set_index("trial_id")
    if trial_id not in rows.index:
        return None
    row = rows.loc[trial_id]
    return row["status"], row["reason"], row["epochs"]


@pytest.mark.parametrize(("epochs", "row"), [(1, ("stopped", "time budget", 1)), (0, None)])
def test_a_trial_whose_worker_dies_after_the_time_budget_can_go_on(book, epochs, row):
    searcher = searcher_of(book)
    config = searcher.suggest("a")
    for number in range(1, epochs + 1):
        book.report(config["trial_id"], epoch(number, 0.5))
    searcher.scheduler.time_left = lambda: 0.0
    searcher.on_trial_complete("a", error=True)
    assert searcher.suggest("b") == Searcher.FINISHED
    assert list(book.live) == [config["trial_id"]]
    assert not book.standings.rows
    assert cut_row(book, config["trial_id"]) == row


def test_a_trial_that_the_time_budget_cut_stays_running_and_counts_with_what_it_reached(book):
    searcher = searcher_of(book)
    config = searcher.suggest("a")
    first = epoch(1, 0.5)
    SearcherCallback(searcher).on_trial_result(1, [], SimpleNamespace(trial_id="a"), first)
    searcher.scheduler.time_left = lambda: 0.0
    searcher.scheduler.on_trial_result(None, SimpleNamespace(config=config), first)
    searcher.on_trial_complete("a", result=first)
    [told] = load_study(book.run.journal).trials
    assert told.state is TrialState.RUNNING
    assert book.run.alive(config["trial_id"]).exists()
    assert cut_row(book, config["trial_id"]) == ("stopped", "time budget", 1)
    assert book.standings.best()["trial_id"] == config["trial_id"]


def test_a_trial_that_is_through_when_the_time_budget_is_over_has_ended(book):
    searcher = searcher_of(book)
    config = searcher.suggest("a")
    last = epoch(1, 0.5, done=True, reason="completed")
    SearcherCallback(searcher).on_trial_result(1, [], SimpleNamespace(trial_id="a"), last)
    searcher.scheduler.time_left = lambda: 0.0
    searcher.on_trial_complete("a", result=last)
    assert book.standings.rows[config["trial_id"]]["status"] == "completed"
    assert not book.live


def test_after_an_interrupt_nothing_more_is_told(book):
    searcher = searcher_of(book)
    config = searcher.suggest("a")
    searcher.interrupt()
    SearcherCallback(searcher).on_trial_result(1, [], SimpleNamespace(trial_id="a"), epoch(1, 0.5))
    searcher.on_trial_complete("a", result=epoch(1, 0.5, done=True, reason="completed"))
    assert not book.live[config["trial_id"]].epochs
    assert not book.standings.rows


def test_the_losses_of_the_images_reach_the_book_and_ray_keeps_none_of_them(book):
    split = pd.DataFrame({"path": ["1", "2"], "label": "a", "group": ["1", "2"], "split": "val"})
    book.run.write_split(split)
    searcher = searcher_of(book)
    config = searcher.suggest("a")
    result = epoch(1, 0.5) | {LOSSES: np.array([0.4, 0.6], dtype=np.float32)}
    SearcherCallback(searcher).on_trial_result(1, [], SimpleNamespace(trial_id="a"), result)
    assert LOSSES not in result
    assert book.run.losses(config["trial_id"]).tolist() == [pytest.approx([0.4, 0.6])]


def test_no_trial_begins_that_would_take_the_folds_most_of_their_time(book):
    book.samples = 9
    searcher = searcher_of(book)
    searcher.for_folds, searcher.max_epochs = lambda: 60.0, 10
    searcher.scheduler.longest = {"one": 4.0}
    # A whole trial takes 40 s; half of it has to be left beside the folds' minute.
    for left, begins in ((1000.0, True), (81.0, True), (79.0, False), (3.0, False)):
        searcher.scheduler.time_left = lambda left=left: left
        assert searcher._is_too_late() != begins
    assert searcher.suggest("a") == Searcher.FINISHED
    assert searcher.late
    searcher.for_folds = lambda: 0.0
    searcher.scheduler.time_left = lambda: 5.0
    assert isinstance(searcher.suggest("b"), dict)
