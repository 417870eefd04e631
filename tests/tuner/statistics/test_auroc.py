import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tuner.statistics.auroc import area, area_error, auc_interval


def scores(seed, yes, no, size=1, apart=1.5):
    rng = np.random.default_rng(seed)
    positive = np.repeat([True] * yes + [False] * no, size)
    shared = np.repeat(rng.normal(size=yes + no), size)
    return positive, apart * positive + shared, np.repeat(np.arange(yes + no), size)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_area_is_that_of_the_field_s_library_ties_included(kind):
    random = np.random.default_rng(0)
    positive, values = random.random(200) < 0.3, (random.integers(0, 9, 200) / 4).astype(kind)
    assert area(positive, values) == pytest.approx(roc_auc_score(positive, values))
    assert area(np.array([True, False]), np.ones(2, kind)) == 0.5


def test_one_side_alone_has_no_area():
    assert np.isnan(area(np.ones(3, bool), np.arange(3.0)))
    assert np.isnan(area(np.zeros(3, bool), np.arange(3.0)))


def test_the_error_of_an_area_is_smaller_the_more_there_are_and_the_nearer_it_is_to_one():
    assert area_error(0.9, 10, 10) > area_error(0.9, 100, 100) > area_error(0.99, 100, 100) > 0
    assert area_error(1.0, 3, 3) == 0


def test_the_error_of_an_area_is_about_that_of_new_draws():
    random = np.random.default_rng(0)
    positive = np.arange(80) < 30
    areas = [area(positive, random.normal(size=80) + positive) for _ in range(2000)]
    assert area_error(float(np.mean(areas)), 30, 50) == pytest.approx(np.std(areas), rel=0.1)


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
