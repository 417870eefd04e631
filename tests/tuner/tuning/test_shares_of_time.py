"""What of a command's time its parts may take."""

import math
import time

import pytest

from tuner.tuning.budget import (
    ENDING_S,
    FINAL_SHARE,
    FOLDS_SHARE,
    HEADS_S,
    MARGIN,
    NETWORK_S,
    NETWORKS_SHARE,
    SHIPPING_S,
    Budget,
    is_too_late,
)


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)


def test_without_a_limit_nothing_ends(now):
    budget = Budget.of(None)
    assert budget.left() == math.inf
    assert budget.folds_end(10.0) is None


def test_time_counts_from_the_start_of_the_command(now):
    assert Budget.of(100.0, started=970.0).left() == pytest.approx(70 - ENDING_S)
    assert Budget.of(100.0, started=970.0, networks=1).left() == pytest.approx(70 - SHIPPING_S)


def test_what_comes_after_the_trials_keeps_what_it_needs_up_to_its_share(now):
    budget, shipping = Budget.of(100.0), Budget.of(100.0, networks=1)
    assert budget.reserve(100.0, (10.0, 25.0), 20.0) == (25, 0)
    assert budget.reserve(100.0, (10.0, 90.0), 20.0) == pytest.approx((100 * FOLDS_SHARE, 0))
    assert shipping.reserve(100.0, (10.0, 25.0), 20.0) == pytest.approx((25, 20 * MARGIN))
    assert budget.folds_end(30.0) == pytest.approx(1100 - ENDING_S)
    assert shipping.folds_end(30.0) == pytest.approx(1100 - SHIPPING_S - 30 * MARGIN)


def test_where_it_needs_more_than_its_share_trials_have_that_time_too(now):
    shipping = Budget.of(100.0, networks=1)
    assert shipping.reserve(100.0, (100 * FOLDS_SHARE + 1, 500.0), 5.0) == pytest.approx((0, 5 * MARGIN))
    # Heads can still be solved on all images.
    assert shipping.reserve(100.0, (10.0, 20.0), 100 * FINAL_SHARE + 1) == (20, HEADS_S)
    assert Budget.of(100.0).reserve(100.0, (10.0, 20.0), 100 * FINAL_SHARE + 1) == (20, 0)


def test_several_trainings_are_kept_time_for_as_far_as_their_share_goes(now):
    shipping, each = Budget.of(100.0, networks=3), 100 * NETWORKS_SHARE / 2
    assert shipping.reserve(100.0, (0.0, 0.0), 5.0)[1] == pytest.approx(3 * 5 * MARGIN + 2 * NETWORK_S)
    assert shipping.reserve(100.0, (0.0, 0.0), each)[1] == pytest.approx(2 * each * MARGIN + NETWORK_S)
    assert shipping.reserve(100.0, (0.0, 0.0), 2 * each + 1)[1] == pytest.approx((2 * each + 1) * MARGIN)
    assert shipping.reserve(100.0, (0.0, 0.0), 0.0)[1] == HEADS_S
    assert shipping.folds_end(5.0) == pytest.approx(1100 - SHIPPING_S - 3 * 5 * MARGIN - 2 * NETWORK_S)


def test_no_trial_begins_that_could_not_end_half_of_its_schedule_if_one_that_has_ended_is_shipped():
    assert not is_too_late(30.0, 5.0, 0.0, 12)
    assert is_too_late(30.0, 5.0, 0.0, 12, ships=True)
    assert not is_too_late(31.0, 5.0, 0.0, 12, ships=True)
    assert is_too_late(5.0, 5.0, 0.0, 12)
