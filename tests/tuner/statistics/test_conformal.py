import math

import numpy as np
import pytest

from tuner.statistics.conformal import (
    conformal_sets,
    conformity_scores,
    needed_groups,
    one_of_each,
    thresholds,
    why_every_class,
)
from tuner.statistics.scores import softmax


def answers(rng, groups, skill=1.5, per_group=4):
    codes = np.repeat(np.arange(groups), per_group)
    labels = rng.choice(3, groups, p=[0.45, 0.45, 0.1])[codes]
    noise = rng.normal(size=(groups, 3))[codes] + 0.3 * rng.normal(size=(len(codes), 3))
    return softmax(skill * (noise + skill * np.eye(3)[labels])), labels, codes


def test_one_image_of_each_group_is_taken_and_the_seed_says_which():
    groups = np.array(["b", "a", "b", "c", "b"])
    places = one_of_each(groups, 1)
    assert sorted(groups[places]) == ["a", "b", "c"]
    assert {tuple(one_of_each(groups, seed)) for seed in range(30)} == {(0, 1, 3), (1, 2, 3), (1, 3, 4)}
    np.testing.assert_array_equal(places, one_of_each(groups, 1))


def test_sets_hold_the_truth_as_often_as_asked_in_every_class_with_enough_groups():
    rng, hits = np.random.default_rng(0), []
    for _ in range(300):
        scores = conformity_scores(*answers(rng, 60))
        probabilities, labels, _ = answers(rng, 200, per_group=1)
        held = conformal_sets(probabilities, thresholds(scores, 0.1))[np.arange(200), labels]
        hits.append([held.mean(), *(held[labels == code].mean() for code in (0, 1))])
    assert np.mean(hits, axis=0) == pytest.approx([0.91, 0.92, 0.92], abs=0.02)
    assert (np.mean(hits, axis=0)[1:] >= 0.9).all()


def test_a_class_has_a_threshold_of_its_own_from_nine_images_on():
    assert (needed_groups(0.1), needed_groups(0.05), needed_groups(0.2)) == (9, 19, 4)
    many = tuple(np.linspace(0.1, 0.9, 9))
    assert thresholds([many, (0.0,) * 9], 0.1).tolist() == [0.9, 0.0]


def test_a_class_of_few_images_is_taken_in_as_readily_as_the_least_likely_of_them():
    many = tuple(np.linspace(0.1, 0.9, 20))
    together, low, none = thresholds([many, (0.0, 0.3), ()], 0.1)[[0, 1, 2]]
    assert low == none
    assert low > 0.8 > 0.1
    assert thresholds([many, (0.0, 0.97)], 0.1)[1] == 0.97
    assert together == thresholds([many], 0.1)[0]


def test_too_few_images_in_all_give_no_threshold():
    many = tuple(np.linspace(0.1, 0.9, 9))
    assert thresholds([many[:8], ()], 0.1).tolist() == [math.inf, math.inf]


def test_without_enough_images_every_class_is_in_the_set():
    limits = thresholds([(0.2, 0.3), (0.1,)], 0.1)
    assert conformal_sets([[0.999, 0.001]], limits).all()


def test_a_set_is_empty_where_no_class_is_as_likely_as_the_true_one_mostly_is():
    limits = thresholds([tuple(np.linspace(0.01, 0.09, 9))] * 2, 0.1)
    assert conformal_sets([[0.6, 0.4], [0.95, 0.05]], limits).tolist() == [[False, False], [True, False]]


def test_a_smaller_alpha_gives_no_smaller_set():
    rng = np.random.default_rng(3)
    scores = conformity_scores(*answers(rng, 200))
    probabilities = answers(rng, 50)[0]
    sizes = [conformal_sets(probabilities, thresholds(scores, alpha)).sum() for alpha in (0.3, 0.1, 0.02)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_the_alpha_from_which_sets_are_smaller_makes_them_smaller():
    for groups in range(2, 120):
        said = float(why_every_class(1e-3, [1, groups - 1]).partition("from --alpha ")[2].split()[0])
        scores = [[0.5], [0.1] * (groups - 1)]
        assert np.isfinite(thresholds(scores, said)).all()
        assert 1 / (groups + 1) <= said < 1.1 / (groups + 1) + 0.01
