import numpy as np
import pytest

from tuner.statistics.auroc import auc_interval


def scores(seed, yes, no, size=1, apart=1.5):
    rng = np.random.default_rng(seed)
    positive = np.repeat([True] * yes + [False] * no, size)
    shared = np.repeat(rng.normal(size=yes + no), size)
    return positive, apart * positive + shared, np.repeat(np.arange(yes + no), size)


def test_independent_images_get_about_delongs_error():
    positive, values, groups = scores(1, 300, 300)
    interval = auc_interval(positive, values, groups)
    yes, no = values[positive], values[~positive]
    above = (yes[:, None] > no[None]).astype(float)
    error = np.sqrt(above.mean(axis=1).var(ddof=1) / 300 + above.mean(axis=0).var(ddof=1) / 300)
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert interval.low < above.mean() < interval.high


def test_photographs_of_one_leaf_add_nothing_when_they_are_alike():
    alone, repeated = auc_interval(*scores(1, 30, 30)), auc_interval(*scores(1, 30, 30, size=5))
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high))


def test_a_perfect_order_of_few_groups_is_no_certainty():
    interval = auc_interval(*scores(1, 3, 10, apart=100))
    assert interval.high == 1.0
    assert 0.5 < interval.low < 0.9


@pytest.mark.parametrize(("yes", "no"), [(1, 10), (10, 1), (0, 10)])
def test_without_two_groups_on_either_side_there_is_no_interval(yes, no):
    assert auc_interval(*scores(1, yes, no, size=3)) is None
