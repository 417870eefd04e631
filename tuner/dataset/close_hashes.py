"""Perceptual hashes that nearly agree, found among many without comparing each with each.

Hashes are sorted by some of their bits, in an order drawn anew each time, and each is compared with the few that
follow it: two that differ in few bits share a long beginning in some of the orders (Bawa, Condie and Ganesan 2005, LSH
forest). Bits that are nearly always the same, as those of white paper, would sort nothing and are left out.
Time grows with the images, memory by the hash and the neighbours of each.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tuner.dataset.reading.perceptual import ALIKE, BITS

__all__ = ["HashVectors", "close_pairs"]

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

ORDERS = 32
FOLLOWING = 4
"""So many that follow in each order are compared."""

KEY = 64
"""Bits of a key by which is sorted."""

BLOCK = 8192
"""Pairs that are compared at a time."""

USEFUL = BITS // 2
"""Keys are drawn from so many bits, those that divide the hashes most evenly."""

MOST_DIFFERING = int((1 - ALIKE) / 2 * BITS)
"""Bits in which hashes that are `ALIKE` differ at most."""


class HashVectors:
    """Hashes of `BITS` / 4 hexadecimal digits, 64 bytes each, whose rows are unit vectors once they are asked for.

    An empty hash is a vector of zeros, and no pair has it.
    """

    def __init__(self, hashes: Sequence[str]) -> None:
        self._known = np.flatnonzero([bool(text) for text in hashes])
        self._bytes = np.zeros((len(hashes), BITS // 8), np.uint8)
        text = "".join(hashes)
        self._bytes[self._known] = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(-1, BITS // 8)

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, rows: Ints) -> npt.NDArray[np.float32]:
        """Unit vectors [k, BITS] of `rows` [k]."""
        bits = np.unpackbits(self._bytes[rows], axis=1).astype(np.float32)
        bits[~np.isin(rows, self._known)] = 0.5
        return (bits - 0.5) * np.float32(2 / np.sqrt(BITS))

    def pairs(self, seed: int = 0) -> Ints:
        """As `close_pairs`."""
        return self._known[close_pairs(self._bytes[self._known], seed)]


def close_pairs(hashes: Bytes, seed: int = 0, orders: int = ORDERS) -> Ints:
    """Pairs [m, 2] of `hashes` [n, BITS / 8] that are alike, the lower first, each once.

    Of hashes that differ in a tenth of the bits next to all are found, in a fifth most of them; of a crowd of hashes
    that are all alike each finds some of the others.
    """
    count = len(hashes)
    if count < 2:
        return np.empty((0, 2), np.int64)
    random = np.random.default_rng(seed)
    useful = _useful(hashes)
    words = np.ascontiguousarray(hashes).view(np.uint64)
    found = np.empty(0, np.int64)
    for _ in range(orders):
        order = np.argsort(_keys(hashes, random.permutation(useful)[:KEY]), kind="stable")
        ordered, pairs = words[order], []
        for step in range(1, min(FOLLOWING, count - 1) + 1):
            near = _differing(ordered[:-step], ordered[step:]) <= MOST_DIFFERING
            one, other = order[:-step][near], order[step:][near]
            pairs.append(np.minimum(one, other) * count + np.maximum(one, other))
        found = _with(found, np.unique(np.concatenate(pairs)))
    return np.stack([found // count, found % count], 1)


def _with(found: Ints, others: Ints) -> Ints:
    """All numbers of two arrays that are sorted, each once; in one pass, since both are."""
    places = np.searchsorted(found, others)
    known = places < len(found)
    known[known] = found[places[known]] == others[known]
    both = np.concatenate([found, others[~known]])
    both.sort(kind="stable")
    return both


def _useful(hashes: Bytes) -> Ints:
    """Places of the bits that divide the hashes most evenly."""
    sample = np.unpackbits(hashes[:: max(1, len(hashes) // 4096)], axis=1)
    order: Ints = np.argsort(np.abs(sample.mean(0) - 0.5), kind="stable")
    return order[:USEFUL]


def _keys(hashes: Bytes, bits: Ints) -> npt.NDArray[np.uint64]:
    """The chosen bits of each hash as one number [n]."""
    keys = np.zeros(len(hashes), np.uint64)
    for bit in bits.tolist():
        keys <<= np.uint64(1)
        keys |= (hashes[:, bit // 8] >> (7 - bit % 8)) & 1
    return keys


def _differing(ones: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> Ints:
    """Bits [n] in which words [n, 8] differ."""
    found = np.empty(len(ones), np.int64)
    for start in range(0, len(ones), BLOCK):
        rows = slice(start, start + BLOCK)
        found[rows] = _set_bits(ones[rows] ^ others[rows]).sum(1)
    return found


def _set_bits(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """How many bits of each number are 1, in pieces for NumPy before 2.0."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    return np.unpackbits(words.view(np.uint8), axis=1)
