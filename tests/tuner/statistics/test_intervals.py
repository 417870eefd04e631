import math

import numpy as np
import pytest

from tuner.statistics.intervals import (
    accuracy_interval,
    calibration_error,
    group_bootstrap,
    score_interval,
    wilson,
)


def leaves(rng, count, accuracy, correlation, size=4):
    """Right and wrong answers on `count` leaves, photographs of one leaf sharing its difficulty."""
    strength = 1 / correlation - 1
    easy = rng.beta(accuracy * strength, (1 - accuracy) * strength, count)
    correct = rng.random((count, size)) < easy[:, None]
    return correct.ravel(), np.repeat(np.arange(count), size)


def test_wilson_gives_the_published_interval():
    interval = wilson(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_wilson_of_a_perfect_score_still_admits_errors():
    interval = wilson(20, 20)
    assert interval.high == 1.0
    assert interval.low == pytest.approx(0.8389, abs=1e-4)


def test_wilson_refuses_an_empty_sample():
    with pytest.raises(ValueError, match="0 correct out of 0"):
        wilson(0, 0)


@pytest.mark.parametrize(
    ("count", "accuracy", "correlation"), [(54, 0.9, 0.6), (40, 0.8, 0.8), (60, 0.95, 0.7)]
)
def test_the_group_bootstrap_covers_the_truth_and_the_image_interval_does_not(count, accuracy, correlation):
    rng = np.random.default_rng(7)
    grouped = images = 0
    for number in range(1000):
        correct, groups = leaves(rng, count, accuracy, correlation)
        interval = accuracy_interval(correct, groups, resamples=500, seed=number)
        grouped += interval.low <= accuracy <= interval.high
        naive = wilson(correct.sum(), len(correct))
        images += naive.low <= accuracy <= naive.high
    assert 930 <= grouped <= 970
    assert images < 900


def test_the_stratified_bootstrap_covers_the_truth_when_classes_differ():
    rng = np.random.default_rng(11)
    parts = [(25, 0.95), (25, 0.85), (5, 0.6)]
    truth = sum(count * accuracy for count, accuracy in parts) / 55
    inside = 0
    for number in range(1000):
        sampled = [leaves(rng, count, accuracy, 0.6)[0] for count, accuracy in parts]
        strata = np.repeat([0, 1, 2], [100, 100, 20])
        interval = accuracy_interval(
            np.concatenate(sampled), np.repeat(np.arange(55), 4), strata=strata, resamples=300, seed=number
        )
        inside += interval.low <= truth <= interval.high
    assert 930 <= inside <= 970


def test_groups_of_one_image_get_wilsons_interval():
    correct = np.array([True] * 30 + [False] * 10)
    assert accuracy_interval(correct, np.arange(40)) == wilson(30, 40)


def test_a_perfect_score_on_groups_is_as_uncertain_as_their_number():
    interval = accuracy_interval(np.ones(200, dtype=bool), np.repeat(np.arange(50), 4))
    assert interval == wilson(50, 50)


def test_the_bootstrap_error_of_a_mean_is_its_textbook_error():
    rng = np.random.default_rng(3)
    values = rng.normal(size=60)
    error = group_bootstrap(values[:, None], lambda totals: totals / 60, resamples=20_000)
    assert error[0] == pytest.approx(values.std(ddof=1) / math.sqrt(60), rel=0.03)


def test_the_bootstrap_does_not_depend_on_the_size_of_its_blocks(monkeypatch):
    sums = np.random.default_rng(1).random((30, 2))
    whole = group_bootstrap(sums, lambda totals: totals[:, :1] / totals[:, 1:], resamples=200)
    monkeypatch.setattr("tuner.statistics.intervals._BLOCK_CELLS", 30 * 7)
    assert group_bootstrap(
        sums, lambda totals: totals[:, :1] / totals[:, 1:], resamples=200
    ) == pytest.approx(whole)


def test_more_correlation_never_narrows_an_interval():
    narrow = score_interval(0.9, 0.02, 50, 20)
    wide = score_interval(0.9, 0.04, 50, 20)
    assert wide.low < narrow.low < 0.9 < narrow.high < wide.high


def test_calibration_error_is_the_weighted_gap_of_the_bins():
    assert calibration_error([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0]) == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)
    assert calibration_error([1.0, 1.0], [1, 1]) == 0.0


def test_classes_of_a_single_group_do_not_seem_certain():
    """Each class has one group: how groups differ is seen by comparing all of them."""
    right = np.repeat([1, 1, 1, 1, 1, 1, 0, 1, 0, 1], 4)
    groups = np.repeat(np.arange(10), 4)
    by_class = accuracy_interval(right, groups, strata=groups)
    assert by_class == accuracy_interval(right, groups)
    sums = np.array([[4.0, 4.0], [4.0, 4.0], [0.0, 4.0]])
    one = group_bootstrap(sums, lambda totals: totals[..., :1] / totals[..., 1:], strata=[0, 0, 1])
    assert one[0] > 0.1
