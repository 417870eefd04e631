import pytest
from ray.tune.search import Searcher
from tiny import epoch, store, write_space

from tuner.tuning.scheduler import FairASHA
from tuner.tuning.searcher import OptunaSearcher


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
    searcher.on_trial_complete("c", result={**epoch(1, 0.5), "done": True, "reason": "completed"})
    assert searcher.suggest("e") == Searcher.FINISHED


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
