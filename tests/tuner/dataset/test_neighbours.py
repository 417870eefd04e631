"""Neighbours closer than chance: what is found, what is not, and what keeps groups small."""

import numpy as np
import pytest

from tuner.dataset import neighbours as similar
from tuner.dataset.neighbours import chance_threshold, find_neighbours, join, linked, near, whitened


def scenes(count: int, views: int, spread: float, seed: int = 0):
    """Features of `views` pictures of each of `count` scenes, and the scenes' numbers."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count, 40))
    which = np.repeat(np.arange(count), views)
    return (centres[which] + spread * random.normal(size=(len(which), 40))).astype(np.float32), which


def found_in(features, labels):
    neighbours = find_neighbours(whitened(features), labels)
    return neighbours, linked(neighbours, chance_threshold(neighbours))


def test_pictures_of_one_scene_are_found_and_others_are_not():
    features, which = scenes(150, 3, 0.15)
    _, pairs = found_in(features, which % 2)
    right = which[pairs[:, 0]] == which[pairs[:, 1]]
    assert right.mean() > 0.95
    assert right.sum() > 0.95 * 150 * 3
    groups = join(len(features), pairs)
    assert 145 <= len(np.unique(groups)) <= 160


def test_of_images_that_have_nothing_to_do_with_each_other_next_to_none_are_paired():
    features = np.random.default_rng(0).normal(size=(600, 40)).astype(np.float32)
    _, pairs = found_in(features, np.arange(600) % 3)
    assert len(pairs) < 10


def test_classes_that_differ_much_are_not_taken_for_scenes():
    random = np.random.default_rng(1)
    labels = np.arange(600) % 2
    features = (random.normal(size=(600, 40)) + 4 * labels[:, None]).astype(np.float32)
    _, pairs = found_in(features, labels)
    assert len(pairs) < 10


def test_a_chain_does_not_swallow_the_set():
    chain = np.array([[i, i + 1] for i in range(499)])
    assert np.bincount(join(500, chain)).max() <= 8
    assert np.bincount(join(500, chain, share=0.0)).max() <= similar.LARGEST


def test_a_burst_of_one_scene_stays_together_up_to_the_largest_group():
    burst = np.array([[i, j] for i in range(40) for j in range(i + 1, 40)])
    assert len(np.unique(join(40, burst))) == 1
    assert np.bincount(join(40, burst, largest=10)).max() == 10


def test_groups_are_numbered_by_their_first_image():
    assert join(5, np.array([[1, 4], [0, 3]])).tolist() == [0, 1, 2, 0, 1]
    assert join(3, np.empty((0, 2), np.int64)).tolist() == [0, 1, 2]


def test_blocks_change_nothing(monkeypatch):
    features, which = scenes(60, 3, 0.15)
    whole, _ = found_in(features, which % 2)
    monkeypatch.setattr(similar, "BLOCK", 7)
    parts, _ = found_in(features, which % 2)
    np.testing.assert_allclose(parts.score, whole.score, atol=1e-4)
    assert parts.possible == whole.possible == 2 * 90 * 89 // 2


def test_images_near_to_training_are_counted_once():
    pairs = np.array([[0, 2], [0, 3], [1, 4]])
    ours, theirs = np.array([1, 1, 0, 0, 0], bool), np.array([0, 0, 1, 1, 0], bool)
    assert near(pairs, ours, theirs) == 1
    assert near(np.empty((0, 2), np.int64), ours, theirs) == 0


@pytest.mark.parametrize("count", [2, 3, 9])
def test_hardly_any_images_are_no_error(count):
    features = np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)
    _, pairs = found_in(features, np.zeros(count, np.int64))
    assert len(join(count, pairs)) == count


def test_features_that_do_not_vary_are_no_error():
    _, pairs = found_in(np.ones((30, 5), np.float32), np.zeros(30, np.int64))
    assert np.isfinite(pairs).all()
