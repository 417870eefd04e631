"""What of a command's time its parts may take."""

import math
import time

import pytest

from tuner.tuning.budget import ENDING_S, FINAL_SHARE, FOLDS_SHARE, SHIPPING_S, Budget


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)


def test_without_a_limit_nothing_ends(now):
    budget = Budget.of(None)
    assert budget.left() == math.inf
    assert budget.search_ends(folds=True) is None
    assert budget.folds_end(10.0) is None


def test_time_counts_from_the_start_of_the_command(now):
    assert Budget.of(100.0, started=970.0).left() == pytest.approx(70 - ENDING_S)
    assert Budget.of(100.0, started=970.0, ships=True).left() == pytest.approx(70 - SHIPPING_S)


def test_what_comes_after_the_trials_has_its_share(now):
    budget, shipping = Budget.of(100.0), Budget.of(100.0, ships=True)
    left, less = 100 - ENDING_S, 100 - SHIPPING_S
    assert budget.search_ends(folds=False) == pytest.approx(1000 + left)
    assert budget.search_ends(folds=True) == pytest.approx(1000 + left * (1 - FOLDS_SHARE))
    assert shipping.search_ends(folds=True) == pytest.approx(1000 + less * (1 - FOLDS_SHARE - FINAL_SHARE))
    assert budget.folds_end(30.0) == pytest.approx(1000 + left)
    assert shipping.folds_end(30.0) == pytest.approx(1000 + less - 30)


def test_a_time_that_is_over_gives_the_search_none(now):
    assert Budget.of(5.0, started=900.0).search_ends(folds=True) == 1000.0
