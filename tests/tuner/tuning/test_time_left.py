"""What trials may still take: running ones beside the model that is shipped, new ones beside the folds as well."""

import time

import pytest

from tuner.tuning import time_left
from tuner.tuning.budget import FINAL_SHARE, FOLDS_SHARE, MARGIN, SHIPPING_S, Budget
from tuner.tuning.time_left import TimeLeft


class Store:
    """A store with as many ended trials as it is told."""

    run = None

    def __init__(self):
        self.ended = 0

    def scored(self):
        return range(self.ended)

    def best_first(self):
        return [{}] * self.ended


class Session:
    @staticmethod
    def slots():
        return 2


@pytest.fixture
def left(monkeypatch):
    """A function of (budget, seconds of a whole trial); on all images a training takes twice as long."""
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time_left, "on_all_images", lambda run: 2.0)
    monkeypatch.setattr(time_left, "folds_seconds", lambda rows, folds, slots: (10.0 * len(rows),) * 2)
    monkeypatch.setattr(time_left, "final_seconds", lambda rows, run: 40.0 * len(rows))
    return lambda budget, whole=0.0: TimeLeft(budget, Store(), 5, Session, lambda: whole)


def test_without_a_limit_nothing_is_kept_back(left):
    found = left(Budget.of(None, networks=1), 10.0)
    assert found.to_go_on() == float("inf")
    assert found.for_folds() == 0.0


def test_before_a_trial_has_ended_the_plan_says_how_long_the_model_trains(left):
    budget = Budget.of(200.0 + SHIPPING_S, networks=1)
    assert left(budget, 15.0).to_go_on() == pytest.approx(200 - MARGIN * 30)
    # A plan that is longer than what a model may take at most is cut, not given up.
    assert left(budget, 900.0).to_go_on() == pytest.approx(200 - MARGIN * FINAL_SHARE * 200)
    assert left(Budget.of(200.0), 15.0).to_go_on() == pytest.approx(Budget.of(200.0).left())


def test_trials_that_ended_say_it_then_and_folds_keep_other_trials_from_beginning(left):
    found = left(Budget.of(200.0 + SHIPPING_S, networks=1), 15.0)
    found.store.ended = 1
    assert found.to_go_on() == pytest.approx(200 - MARGIN * 40)
    assert found.for_folds() == 10.0
    found.store.ended = 2
    assert found.to_go_on() == pytest.approx(200 - MARGIN * 80)
    assert found.for_folds() == 20.0
    found.store.ended = 9
    assert found.for_folds() <= FOLDS_SHARE * 200
