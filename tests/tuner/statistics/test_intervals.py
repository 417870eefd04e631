import math

import numpy as np
import pytest

from tuner.statistics.intervals import (
    accuracy_interval,
    calibration_error,
    group_bootstrap,
    holm,
    mcnemar,
    needed_groups,
    paired_test,
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


def test_mcnemar_is_the_binomial_test_on_the_images_that_differ():
    first = np.array([True] * 9 + [False] * 1 + [True] * 50)
    second = np.array([False] * 9 + [True] * 1 + [True] * 50)
    assert mcnemar(first, second) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(first, first) == 1.0


def test_the_paired_test_without_groups_is_mcnemars():
    rng = np.random.default_rng(5)
    first, second = rng.random(80) < 0.9, rng.random(80) < 0.8
    paired = paired_test(first, second, np.arange(80))
    assert paired.p_value == mcnemar(first, second)
    assert paired.difference == pytest.approx(first.mean() - second.mean())


def test_the_grouped_test_agrees_with_mcnemar_when_each_group_has_one_vote():
    first = np.repeat([True] * 8 + [False] * 2 + [True] * 20, 4)
    second = np.repeat([False] * 8 + [True] * 2 + [True] * 20, 4)
    paired = paired_test(first, second, np.repeat(np.arange(30), 4))
    assert paired.p_value == pytest.approx(mcnemar(first[::4], second[::4]))


def test_equal_models_are_called_different_at_most_one_time_in_twenty():
    rng = np.random.default_rng(9)
    false_alarms = 0
    for number in range(1000):
        easy = rng.beta(3, 0.5, 54)[:, None]
        first, second = (
            rng.random((54, 4)) < np.clip(easy + rng.normal(0, 0.2, (54, 1)), 0, 1) for _ in range(2)
        )
        paired = paired_test(
            first.ravel(), second.ravel(), np.repeat(np.arange(54), 4), resamples=499, seed=number
        )
        false_alarms += paired.p_value <= 0.05
    assert 20 <= false_alarms <= 65


def test_the_interval_of_a_difference_covers_the_truth():
    rng = np.random.default_rng(21)
    inside = 0
    for number in range(1000):
        easy = rng.beta(4, 1, 54)[:, None]
        first = rng.random((54, 4)) < easy
        second = rng.random((54, 4)) < easy * 0.9
        paired = paired_test(
            first.ravel(), second.ravel(), np.repeat(np.arange(54), 4), resamples=1, seed=number
        )
        inside += paired.interval.low <= 0.8 * 0.1 <= paired.interval.high
    assert 930 <= inside <= 975


@pytest.mark.parametrize("difference", [0.0, 1e-16, float("nan")])
def test_what_is_no_difference_needs_no_groups(difference):
    assert needed_groups(difference, 0.04) is None


def test_with_the_needed_groups_a_difference_is_found_four_times_in_five():
    rng = np.random.default_rng(2)
    first_only, second_only = 0.12, 0.04
    difference = first_only - second_only
    groups = needed_groups(difference, first_only + second_only - difference**2)
    found = 0
    for number in range(400):
        draw = rng.random(groups)
        first, second = draw < first_only, (draw >= first_only) & (draw < first_only + second_only)
        paired = paired_test(
            np.repeat(first, 2),
            np.repeat(second, 2),
            np.repeat(np.arange(groups), 2),
            resamples=499,
            seed=number,
        )
        found += paired.p_value <= 0.05
    assert 0.74 <= found / 400 <= 0.86


def test_no_difference_needs_more_groups_than_any_data_has():
    correct = np.array([True, True, False, True] * 10)
    paired = paired_test(correct, correct, np.repeat(np.arange(10), 4))
    assert paired.needed is None
    assert paired.p_value == 1.0
    assert paired.interval.low < 0 < paired.interval.high


def test_holm_gives_the_textbook_values_in_the_given_order():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


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
