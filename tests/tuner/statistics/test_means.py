import math

import numpy as np
import pytest
from scipy import stats

from trainables.metrics import METRICS, Answers
from tuner.statistics.intervals import wilson
from tuner.statistics.means import cost_interval, error_of_mean, half_width, mean_interval, variance_of_mean
from tuner.statistics.metric_errors import standard_error

COSTS = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 20.0], [0.5, 2.0, 0.0]])


def uneven(seed=0, count=30):
    """Values that groups of one to five images have partly in common, and the groups."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(count), random.integers(1, 6, count))
    return random.exponential(size=count)[codes] + random.normal(size=len(codes)), codes


def test_the_error_of_independent_values_is_the_textbook_s():
    values = np.random.default_rng(0).normal(size=40)
    assert error_of_mean(values, np.arange(40)) == pytest.approx(stats.sem(values))


def test_the_error_of_groups_of_equal_size_is_that_of_their_means():
    values = np.random.default_rng(0).normal(size=(20, 4)) + np.arange(20)[:, None]
    found = error_of_mean(values.ravel(), np.repeat(np.arange(20), 4))
    assert found == pytest.approx(stats.sem(values.mean(axis=1)))


def test_the_error_of_unequal_groups_is_about_that_of_new_draws():
    means = []
    for seed in range(2000):
        values, codes = uneven(seed)
        means.append((values.mean(), error_of_mean(values, codes)))
    seen, said = np.array(means).T
    assert said.mean() == pytest.approx(seen.std(ddof=1), rel=0.06)


def test_names_of_groups_do_for_numbers_and_one_group_has_no_error():
    values, codes = uneven()
    assert error_of_mean(values, [f"leaf {code:02d}" for code in codes]) == error_of_mean(values, codes)
    assert math.isnan(error_of_mean(values, np.zeros(len(values))))
    assert np.isnan(variance_of_mean([[1.0, 2.0]], [3])).all()


def test_several_means_have_the_variances_of_each():
    values, codes = uneven()
    both = np.stack([values, values**2], axis=1)
    sums = np.stack([np.bincount(codes, weights=column) for column in both.T], axis=1)
    expected = [error_of_mean(column, codes) ** 2 for column in both.T]
    assert variance_of_mean(sums, np.bincount(codes)) == pytest.approx(expected)


def test_the_error_of_a_metric_that_is_a_mean_is_the_error_of_that_mean():
    random = np.random.default_rng(0)
    _, codes = uneven()
    answers = Answers(codes % 3, random.normal(size=(len(codes), 3)), 0)
    for name in ("val_loss", "val_accuracy"):
        values = METRICS[name].values(answers)
        assert standard_error(METRICS[name], answers, codes) == pytest.approx(error_of_mean(values, codes))


def test_the_interval_is_students_where_every_image_is_a_group_and_wider_where_groups_agree():
    values = np.random.default_rng(0).normal(size=40)
    half = half_width(values, [str(number) for number in range(40)])
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert half == pytest.approx((high - low) / 2)
    agreeing = np.repeat(values[:10], 4)
    alone, together = (half_width(agreeing, [str(number // size) for number in range(40)]) for size in (1, 4))
    assert together > 1.8 * alone
    assert half_width(values, ["one"] * 40) is None


def test_the_interval_of_a_skewed_mean_reaches_further_up_than_down():
    values = np.random.default_rng(0).exponential(size=60) ** 2
    found = mean_interval(values, np.arange(60))
    assert found.high - values.mean() > values.mean() - found.low > 0
    assert mean_interval(np.arange(4.0), np.zeros(4)) is None


def test_values_that_are_all_alike_have_an_interval_without_width():
    found = mean_interval(np.ones(6), np.arange(6))
    assert (found.low, found.high) == (1, 1)


def test_that_no_dear_mistake_was_seen_is_no_proof_that_none_is_made():
    groups = np.repeat(np.arange(54), 4)
    none = cost_interval(np.zeros(216), COSTS, groups)
    assert none.low == 0
    assert none.high == pytest.approx(20 * wilson(0, 54).high)
    paid = np.zeros(216)
    paid[0] = 20
    one = cost_interval(paid, COSTS, groups)
    assert 0 <= one.low < paid.mean() < one.high


def test_costs_of_one_are_the_share_of_mistakes():
    wrong = np.random.default_rng(0).random(200) < 0.2
    alike = np.array([[0.0, 1.0], [1.0, 0.0]])
    ours, share = cost_interval(wrong, alike, np.arange(200)), wilson(wrong.sum(), 200)
    assert (ours.low, ours.high) == pytest.approx((share.low, share.high), abs=0.002)
    assert cost_interval(np.ones(4), np.ones((2, 2)), np.arange(4)).low == 1


def test_dear_and_cheap_mistakes_in_groups_are_held():
    """Groups whose photographs fail together, a fifth of the mistakes twenty times as dear as the others."""
    random, held = np.random.default_rng(0), 0
    for _ in range(100):
        risk = random.beta(0.1 * 2, 0.9 * 2, 54)
        wrong = random.random((54, 4)) < risk[:, None]
        paid = np.where(wrong, np.where(random.random((54, 4)) < 0.2, 20.0, 1.0), 0.0).ravel()
        interval = cost_interval(paid, COSTS, np.repeat(np.arange(54), 4))
        held += interval.low <= 0.1 * (0.2 * 20 + 0.8 * 1) <= interval.high
    assert held >= 90
