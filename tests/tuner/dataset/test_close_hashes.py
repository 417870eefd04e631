"""Copies among many hashes: found as an exhaustive comparison finds them, in crowds too, without its cost."""

import numpy as np
import pytest

from tuner.dataset import close_hashes
from tuner.dataset.close_hashes import HashVectors, close_pairs
from tuner.dataset.neighbours import find_neighbours, neighbours_among
from tuner.dataset.reading.perceptual import BITS, hash_vectors


def hashes(count: int, copies: int, differing: float, seed: int = 0):
    """Hashes [n, BITS / 8] at random; the last `copies` are the first ones but for a share of their bits."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2, (count, BITS), dtype=np.uint8)
    for number in range(copies):
        bits[-1 - number] = bits[number]
        bits[-1 - number, random.permutation(BITS)[: int(differing * BITS)]] ^= 1
    return np.packbits(bits, axis=1)


def as_text(rows):
    return [row.tobytes().hex() for row in rows]


@pytest.mark.parametrize(("differing", "least"), [(0.0, 1.0), (0.05, 1.0), (0.1, 0.99), (0.19, 0.9)])
def test_copies_are_found_and_nothing_else(differing, least):
    pairs = close_pairs(hashes(4000, 200, differing))
    true = {(number, 3999 - number) for number in range(200)}
    found = set(map(tuple, pairs.tolist()))
    assert found <= true
    assert len(found) >= least * len(true)


def test_numpy_before_2_finds_the_same(monkeypatch):
    some = hashes(500, 50, 0.1)
    pairs = close_pairs(some)
    monkeypatch.delattr(close_hashes.np, "bitwise_count", raising=False)
    np.testing.assert_array_equal(close_pairs(some), pairs)


def test_each_of_a_crowd_of_white_pages_finds_some_others_and_no_more_than_are_compared():
    random = np.random.default_rng(0)
    bits = (random.random((2000, BITS)) < 0.02).astype(np.uint8)
    pairs = close_pairs(np.packbits(bits, axis=1))
    assert len(np.unique(pairs)) == 2000
    assert len(pairs) <= 2000 * close_hashes.ORDERS * close_hashes.FOLLOWING


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_hardly_any_hashes_are_no_error(count):
    assert len(close_pairs(np.zeros((count, BITS // 8), np.uint8))) == count * (count - 1) // 2


def test_rows_of_hashes_are_their_unit_vectors_and_one_that_is_missing_has_no_pair():
    texts = ["", *as_text(hashes(60, 20, 0.05)), ""]
    vectors = HashVectors(texts)
    np.testing.assert_allclose(vectors[np.arange(62)], hash_vectors(texts), atol=1e-6)
    assert {0, 61}.isdisjoint(vectors.pairs().ravel().tolist())
    assert len(vectors.pairs()) == 20


def test_neighbours_among_likely_pairs_score_as_among_all():
    texts = as_text(hashes(400, 40, 0.08))
    labels = np.arange(400) % 2
    vectors = HashVectors(texts)
    every = find_neighbours(hash_vectors(texts), labels)
    likely = neighbours_among(vectors, labels, vectors.pairs())
    best = np.isfinite(likely.score[:, 0])
    assert best.sum() == 80
    np.testing.assert_array_equal(likely.index[best, 0], every.index[best, 0])
    np.testing.assert_allclose(likely.score[best, 0], every.score[best, 0], atol=1e-3)
    assert likely.possible == every.possible
    np.testing.assert_array_equal(likely.index[~best, 0], np.flatnonzero(~best))
