import itertools

import numpy as np
import pytest

from tuner.statistics.paired import fewest_groups, holm, mcnemar, needed_groups, paired_test, sign_flip


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


@pytest.mark.parametrize("questions", [1, 2, 4, 11, 66, 435])
def test_the_fewest_groups_are_the_first_of_which_the_smallest_p_value_is_significant(questions):
    fewest = fewest_groups(questions)
    smallest = [sign_flip(np.ones(count), 9999, 0) for count in (fewest - 1, fewest)] if fewest <= 12 else []
    for count, p_value in zip((fewest - 1, fewest), smallest, strict=False):
        assert p_value == 2 / 2**count
        assert (holm([p_value] * questions)[0] <= 0.05) == (count == fewest)
    assert 2 / 2**fewest <= 0.05 / questions < 2 / 2 ** (fewest - 1)


def test_the_fewest_groups_are_those_of_the_how_to():
    assert [fewest_groups(finalists - 1) for finalists in (2, 5, 12, 27)] == [6, 8, 9, 11]


def test_never_fewer_groups_are_said_to_be_needed_than_can_show_anything():
    assert needed_groups(0.9, 1e-6) == fewest_groups() == 6
    assert needed_groups(0.9, 1e-6, questions=11) == fewest_groups(11) == 9
    found = paired_test(np.ones(12), np.zeros(12), np.repeat(np.arange(3), 4), questions=11)
    assert found.needed >= 9


def test_several_questions_at_once_need_more_groups_than_one():
    alone, among = (needed_groups(0.05, 0.04, questions=count) for count in (1, 20))
    assert among > 1.5 * alone


def test_few_groups_take_every_sign():
    parts = np.array([0.5, -0.25, 1.0, 0.25, -0.75, 0.1, 0.0])
    sums = [np.dot(signs, parts) for signs in itertools.product((1, -1), repeat=len(parts))]
    expected = np.mean(np.abs(sums) >= abs(parts.sum()) - 1e-9)
    assert sign_flip(parts, 9999, 0) == pytest.approx(expected)
    assert sign_flip(parts[:1], 9999, 0) == 1.0


@pytest.mark.parametrize("unit", [1.0, 1e9, 1e12])
def test_whatever_the_unit_no_p_value_is_below_the_smallest(unit):
    random = np.random.default_rng(0)
    for _ in range(200):
        assert sign_flip(unit * random.random(10), 999, 0) == pytest.approx(2 / 2**10)
