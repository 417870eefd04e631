"""Pictures of the same object or scene: neighbours that are closer than chance, joined into groups.

Similarity is the cosine of half-whitened features (each principal component divided by the root of its standard
deviation), counted in standard deviations above what each of the two images has with images of its own label. So an
image that resembles everything (a hub) needs more, and a value reads alike in every set. The bulk of same-label pairs
is taken for unrelated (the empirical null of Efron 2004, Large-scale simultaneous hypothesis testing); the threshold is
where at most `TOLERATED` of the pairs found would be expected from a normal distribution of that centre and width.
Real distributions have heavier tails than normal ones: more of the pairs are chance than that share.

All products go in blocks of rows and keep `NEIGHBOURS` an image: memory grows with the images, not with their square.
Where likely pairs are known beforehand (`tuner.dataset.close_hashes`), so does the time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "Neighbours",
    "chance_threshold",
    "find_neighbours",
    "join",
    "linked",
    "neighbours_among",
    "whitened",
]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

COMPONENTS = 256
NEIGHBOURS = 20
TOLERATED = 0.05
"""Pairs by chance that are tolerated, as a share of all pairs found."""

LARGEST = 50
"""Images of a group at most, so that a chain of lookalikes does not swallow the set."""

LINKED = 0.25
"""Two groups become one if at least this share of the pairs between them were found."""

BLOCK = 1024
"""Rows of a block at most; fewer of many images, so that a block has at most `BLOCK_VALUES` similarities."""

BLOCK_VALUES = 20_000_000
SAMPLE = 2000
"""Images whose similarities to all others tell what is usual."""

SMALL_SAMPLE = 1000
"""The same where likely pairs are known, and all else is quick."""

GRID = 0.05
BINS = np.arange(-6.0, 20.0 + GRID, GRID)
"""Edges of the histogram of scores, in standard deviations."""


class Vectors(Protocol):
    """Unit vectors [n, d] that may be made when their rows are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Ints) -> Floats: ...


@dataclass(frozen=True)
class Neighbours:
    """The nearest others of each image: `index` [n, k] and `score` [n, k], in standard deviations, best first.

    A place that is left free has the image itself for its neighbour, at minus infinity.

    `usual` counts the scores of same-label pairs by `BINS`, over a sample of images; `centre` and `width` are those of
    the normal distribution that fits their bulk, `possible` is the number of all same-label pairs.
    """

    index: Ints
    score: Floats
    usual: Ints
    centre: float
    width: float
    possible: int


def whitened(features: Floats, components: int = COMPONENTS) -> Floats:
    """Unit vectors [n, c] of `features` [n, d], half-whitened; c is at most `components`, d, and a quarter of n.

    Whitening all the way would weigh noise like signal; not at all, what all images share drowns the rest.
    """
    count, width = features.shape
    kept = min(components, width, max(8, count // 4))
    mean = features.mean(0, dtype=np.float64)
    covariance = np.zeros((width, width))
    for start in range(0, count, BLOCK):
        part = features[start : start + BLOCK] - mean
        covariance += part.T @ part
    values, vectors = np.linalg.eigh(covariance / count)
    chosen = np.argsort(values)[::-1][:kept]
    spread = np.sqrt(np.maximum(values[chosen], 0.0))
    # What does not vary is left out by a scale of 0.
    scale = np.where(spread > 1e-9 * max(spread.max(), 1e-30), 1.0 / np.sqrt(np.maximum(spread, 1e-30)), 0.0)
    projection = vectors[:, chosen] * scale
    found = np.empty((count, kept), np.float32)
    for start in range(0, count, BLOCK):
        found[start : start + BLOCK] = (features[start : start + BLOCK] - mean) @ projection
    return unit(found)


def unit(vectors: Floats) -> Floats:
    """`vectors` [n, d], each divided by its length; one of length 0 stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Floats = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return found


def find_neighbours(vectors: Floats, labels: Ints, seed: int = 0, count: int = NEIGHBOURS) -> Neighbours:
    """The `count` nearest others of each of the unit `vectors` [n, d], whose class numbers are `labels` [n]."""
    images = len(vectors)
    count = min(count, images - 1)
    sample = np.sort(np.random.default_rng(seed).permutation(images)[:SAMPLE])
    mean, deviation = _usual_of_each(vectors, labels, sample)
    index, score = np.empty((images, count), np.int64), np.empty((images, count), np.float32)
    block = max(1, min(BLOCK, BLOCK_VALUES // images))
    for start in range(0, images, block):
        rows = np.arange(start, min(start + block, images))
        found = _scores(vectors, mean, deviation, rows, slice(None))
        found[np.arange(len(rows)), rows] = -np.inf
        best = np.argpartition(-found, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(found, best, 1)
        order = np.argsort(-values, axis=1, kind="stable")
        index[rows] = np.take_along_axis(best, order, 1)
        score[rows] = np.take_along_axis(values, order, 1)
    usual, centre, width = _usual(vectors, labels, mean, deviation, sample)
    return Neighbours(index, score, usual, centre, width, _possible(labels))


def neighbours_among(vectors: Vectors, labels: Ints, pairs: Ints, seed: int = 0) -> Neighbours:
    """The nearest others of each of the unit `vectors` [n, d] among the likely `pairs` [m, 2], each of them once."""
    images = len(vectors)
    sample = np.sort(np.random.default_rng(seed).permutation(images)[:SMALL_SAMPLE])
    mean, deviation = _usual_of_each(vectors, labels, sample, np.union1d(sample, pairs.ravel()))
    scores = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), BLOCK):
        ones, others = pairs[start : start + BLOCK].T
        similar = (vectors[ones] * vectors[others]).sum(1)
        mine, theirs = ((similar - mean[rows]) / deviation[rows] for rows in (ones, others))
        scores[start : start + BLOCK] = (mine + theirs) / 2
    both, score = np.concatenate([pairs, pairs[:, ::-1]]), np.tile(scores, 2)
    order = np.lexsort((-score, both[:, 0]))
    image, other = both[order].T
    rank = np.arange(len(image)) - np.searchsorted(image, image)
    kept = rank < NEIGHBOURS
    width = max(int(rank.max(initial=0)) + 1, 1)
    index = np.repeat(np.arange(images)[:, None], min(width, NEIGHBOURS), 1)
    best = np.full(index.shape, -np.inf, np.float32)
    index[image[kept], rank[kept]] = other[kept]
    best[image[kept], rank[kept]] = score[order][kept]
    return Neighbours(index, best, *_usual(vectors, labels, mean, deviation, sample), _possible(labels))


def chance_threshold(found: Neighbours, tolerated: float = TOLERATED) -> float | None:
    """The lowest score from which on at most the share `tolerated` of the pairs found is expected by chance.

    None where no score is so rare: nothing stands out.
    """
    _, scores = _pairs(found)
    grid = BINS[found.centre + found.width < BINS]
    counts = len(scores) - np.searchsorted(np.sort(scores), grid)
    away = (grid - found.centre) / found.width / math.sqrt(2)
    expected = np.array([math.erfc(value) / 2 for value in away]) * found.possible
    good = np.flatnonzero((counts > 0) & (expected <= tolerated * counts))
    return float(grid[good[0]]) if len(good) else None


def linked(found: Neighbours, threshold: float | None) -> Ints:
    """The pairs [m, 2] of images, the lower first, that score at least `threshold`, the best first; none for None."""
    if threshold is None:
        return np.empty((0, 2), np.int64)
    pairs, scores = _pairs(found)
    order = np.argsort(-scores, kind="stable")
    kept: Ints = pairs[order[scores[order] >= threshold]]
    return kept


def join(images: int, pairs: Ints, largest: int = LARGEST, share: float = LINKED) -> Ints:
    """A group number for each of so many `images` [n]: parts that `pairs` link, the best pair first.

    Two parts become one if at least `share` of the pairs between them were found and the whole has at most `largest`
    images. Groups are numbered by their first image.
    """
    parent = list(range(images))
    size = [1] * images
    links: list[dict[int, int]] = [{} for _ in range(images)]
    for one, other in pairs.tolist():
        links[one][other] = links[other][one] = 1

    def root(image: int) -> int:
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    for one, other in pairs.tolist():
        one, other = root(one), root(other)
        if one == other or size[one] + size[other] > largest:
            continue
        if links[one].get(other, 0) < share * size[one] * size[other]:
            continue
        if size[one] < size[other]:
            one, other = other, one
        parent[other] = one
        size[one] += size[other]
        links[one].pop(other, None)
        for third, number in links[other].items():
            if third != one:
                links[one][third] = links[third][one] = links[one].get(third, 0) + number
                links[third].pop(other, None)
        links[other] = {}
    roots = [root(image) for image in range(images)]
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) for one in roots], dtype=np.int64)


def near(pairs: Ints, ours: Sequence[bool] | npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_]) -> int:
    """How many images of `ours` [n] are linked by `pairs` [m, 2] to one of `theirs` [n]."""
    mine = np.asarray(ours)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return len(np.unique(both[mine[both[:, 0]] & theirs[both[:, 1]], 0]))


def _pairs(found: Neighbours) -> tuple[Ints, Floats]:
    """Every pair [m, 2] of neighbours once, the lower image first, and its score [m]."""
    ones, places = np.nonzero(np.isfinite(found.score))
    pairs = np.sort(np.stack([ones, found.index[ones, places]], 1), 1)
    _, first = np.unique(pairs[:, 0] * len(found.index) + pairs[:, 1], return_index=True)
    return pairs[first], found.score[ones, places][first]


def _possible(labels: Ints) -> int:
    sizes = np.bincount(labels).astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def _usual_of_each(
    vectors: Vectors, labels: Ints, sample: Ints, wanted: Ints | None = None
) -> tuple[Floats, Floats]:
    """Mean and standard deviation [n] of an image's similarity to sampled images of its label, itself left out.

    With `wanted`, only those of these images; 0 and 1 for the others.
    """
    mean, deviation = np.zeros(len(vectors), np.float32), np.ones(len(vectors), np.float32)
    whole = np.arange(len(vectors))
    by_label = np.argsort(labels, kind="stable")
    for own in np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1):
        label = labels[own[0]]
        others = sample[labels[sample] == label]
        # Of a class with few images in the sample all are taken; where it has hardly any, other classes stand in.
        others = own[:SAMPLE] if len(others) < 50 else others
        others = sample if len(others) < 10 else others
        mine = own if wanted is None else own[np.isin(own, wanted, assume_unique=True)]
        theirs = vectors[others if len(mine) else others[:0]]
        for start in range(0, len(mine), BLOCK):
            rows = mine[start : start + BLOCK]
            similar = np.asarray(vectors[rows] @ theirs.T, dtype=np.float64)
            similar[whole[rows][:, None] == others[None]] = np.nan
            mean[rows] = np.nanmean(similar, 1)
            deviation[rows] = np.maximum(np.nanstd(similar, 1), 1e-6)
    return mean, deviation


def _scores(vectors: Any, mean: Floats, deviation: Floats, rows: Ints, columns: Ints | slice) -> Floats:
    similar = vectors[rows] @ vectors[columns].T
    mine = (similar - mean[rows, None]) / deviation[rows, None]
    theirs = (similar - mean[None, columns]) / deviation[None, columns]
    return np.asarray((mine + theirs) / 2, dtype=np.float32)


def _usual(
    vectors: Vectors, labels: Ints, mean: Floats, deviation: Floats, sample: Ints
) -> tuple[Ints, float, float]:
    """Histogram of the scores of same-label pairs of sampled images, and centre and width of their bulk."""
    parts = []
    for start in range(0, len(sample), BLOCK):
        rows = sample[start : start + BLOCK]
        found = _scores(vectors, mean, deviation, rows, sample)
        later = (labels[rows][:, None] == labels[sample][None]) & (rows[:, None] < sample[None])
        parts.append(found[later])
    scores = np.concatenate(parts)
    if not len(scores):
        return np.zeros(len(BINS) - 1, np.int64), 0.0, 1.0
    low, centre, high = np.quantile(scores, [0.1587, 0.5, 0.8413])
    counts = np.histogram(np.clip(scores, BINS[0], BINS[-1]), BINS)[0]
    return counts.astype(np.int64), float(centre), max(float(high - low) / 2, 1e-6)
