from types import SimpleNamespace

import pytest
from ray.tune.search import Searcher
from tiny import epoch, store, write_space

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
    [row] = book.rows.values()
    assert (row["status"], row["epochs"], row["applied_loss"]) == ("completed", 1, "cross-entropy")


@pytest.mark.parametrize(
    ("epochs", "ended"), [(1, ("stopped", "time budget")), (0, ("failed", "worker died"))]
)
def test_a_worker_that_dies_after_the_time_budget_ends_its_trial(book, epochs, ended):
    searcher = searcher_of(book)
    config = searcher.suggest("a")
    for number in range(1, epochs + 1):
        book.report(config["trial_id"], epoch(number, 0.5))
    searcher.scheduler.deadline = 0.0
    searcher.on_trial_complete("a", error=True)
    assert searcher.suggest("b") == Searcher.FINISHED
    row = book.rows[config["trial_id"]]
    assert (row["status"], row["reason"]) == ended


def test_after_an_interrupt_nothing_more_is_told(book):
    searcher = searcher_of(book)
    config = searcher.suggest("a")
    searcher.interrupt()
    SearcherCallback(searcher).on_trial_result(1, [], SimpleNamespace(trial_id="a"), epoch(1, 0.5))
    searcher.on_trial_complete("a", result=epoch(1, 0.5, done=True, reason="completed"))
    assert not book.live[config["trial_id"]].epochs
    assert not book.rows
