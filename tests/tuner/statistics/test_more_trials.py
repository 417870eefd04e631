import numpy as np
import pytest

from tuner.statistics import more_trials
from tuner.statistics.more_trials import FEWEST_TRIALS, gain_of_more


def test_a_search_whose_best_trials_are_alike_gains_next_to_nothing():
    alike, spread = [0.2, 0.2001, 0.2002, *[0.9] * 9], [0.2, 0.5, 0.8, *[0.9] * 9]
    assert gain_of_more(alike).mean < gain_of_more(spread).mean


def test_the_order_of_the_trials_does_not_matter():
    costs = np.linspace(0.2, 1.0, 20)
    assert gain_of_more(costs) == gain_of_more(costs[::-1])


def test_nothing_is_gained_for_sure_and_nothing_is_lost():
    found = gain_of_more(np.linspace(0.2, 1.0, 30))
    assert found.low == 0 < found.mean < found.high


def test_it_is_what_the_second_half_of_all_orders_brought(monkeypatch):
    monkeypatch.setattr(more_trials, "SMALLER", 1.0)
    costs, random = np.array([0.1, 0.3, 0.4, 0.7, 0.8, 0.9, 1.0, 1.2]), np.random.default_rng(0)
    halves = [random.permutation(costs)[:4].min() - costs.min() for _ in range(4000)]
    assert gain_of_more(costs).mean == pytest.approx(np.mean(halves), abs=0.01)


def test_a_better_model_that_is_there_already_takes_its_lead_off_every_jump(monkeypatch):
    """The jumps that pass it count, with what they pass it by: more than the mean jump does after its lead."""
    monkeypatch.setattr(more_trials, "SMALLER", 1.0)
    costs, random = np.array([0.1, 0.3, 0.4, 0.7, 0.8, 0.9, 1.0, 1.2]), np.random.default_rng(0)
    halves = [max(0.0, random.permutation(costs)[:4].min() - 0.1 - 0.25) for _ in range(4000)]
    found, whole = gain_of_more(costs, behind=0.25), gain_of_more(costs)
    assert found.mean == pytest.approx(np.mean(halves), abs=0.01)
    assert found.mean > max(0.0, whole.mean - 0.25)
    assert (found.low, found.high) == (0.0, pytest.approx(whole.high - 0.25))
    assert gain_of_more(costs, behind=9.0).mean == 0.0


def test_few_trials_say_nothing():
    with pytest.raises(ValueError, match="fewer"):
        gain_of_more([0.5] * (FEWEST_TRIALS - 1))
