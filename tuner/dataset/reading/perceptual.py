"""A perceptual hash: which of neighbouring patches of a picture is the brighter, in 512 bits.

The difference hash of Krawetz (2013), to the right and downwards. It survives another size, another JPEG quality and a
little more light; it does not survive another angle.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from trainables.data.decode import Pixels

__all__ = ["ALIKE", "BITS", "hash_of", "hash_vectors"]

SIDE = 16
BITS = 2 * SIDE * SIDE

ALIKE = 0.6
"""Product of two hashes of copies at least: a fifth of the bits differ, as after a crop by a twentieth."""


def hash_of(pixels: Pixels) -> str:
    """The hash of a picture uint8 [h, w, 3], `BITS` / 4 hexadecimal digits."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE + 1, SIDE + 1), interpolation=cv2.INTER_AREA).astype(np.int16)
    right, down = small[:SIDE, 1:] > small[:SIDE, :-1], small[1:, :SIDE] > small[:-1, :SIDE]
    return np.packbits(np.concatenate([right.ravel(), down.ravel()])).tobytes().hex()


def hash_vectors(hashes: Sequence[str]) -> npt.NDArray[np.float32]:
    """Unit vectors [n, BITS] of hashes; the product of two is 1 minus twice the share of bits that differ.

    An empty hash is a vector of zeros.
    """
    found = np.zeros((len(hashes), BITS), np.float32)
    for row, text in enumerate(hashes):
        if text:
            bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))
            found[row] = np.where(bits == 1, 1.0, -1.0) / np.sqrt(BITS)
    return found
