"""The floor: how much of the loss is disagreement of labels on near-duplicates."""

import numpy as np
import numpy.typing as npt

from tuner.advice.line import Found, Line, Unknown
from tuner.advice.material import Material
from tuner.statistics.groups import effective_groups, group_codes
from tuner.statistics.intervals import FloatArray, score_interval

__all__ = ["floor", "least_loss"]

KIND = "floor"

NEAR = 0.9
"""Cosine of two images' half-whitened features from which on they are near-duplicates. What is merely closer than
chance shows two things of one kind, whose labels differ rightly."""

FEWEST_PAIRS = 20
"""Pairs below which nothing is said."""

HALF = 0.5


def floor(found: Material) -> list[Found]:
    """The loss that no model can go below, by how often near-duplicates have different labels."""
    from tuner.dataset.neighbours import chance_threshold, find_neighbours, linked, whitened

    images = found.images
    if len(images.labels) < FEWEST_PAIRS:
        return [Unknown(KIND, f"{len(images.labels)} images are too few to find lookalikes among them")]
    vectors = whitened(images.features.astype(np.float32))
    neighbours = find_neighbours(vectors, images.labels, images.seed)
    pairs = linked(neighbours, chance_threshold(neighbours))
    alike = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(axis=1)
    pairs = _nearest(pairs[alike >= NEAR], len(images.labels))
    if len(pairs) < FEWEST_PAIRS:
        reason = f"{len(pairs)} pairs of images are near-duplicates, too few to say how often their labels disagree"
        return [Unknown(KIND, reason)]
    differ = images.labels[pairs[:, 0]] != images.labels[pairs[:, 1]]
    share = float(differ.mean())
    low, high = _interval(differ, images.groups[pairs[:, 0]])
    losses = [least_loss(part) for part in (share, low, high)]
    total = float(found.frozen.losses.mean())
    do = f"expect no log loss below {losses[0]:.3f} ({losses[1]:.3f} to {losses[2]:.3f}) on images like these"
    why = (
        f"of {len(pairs):,} pairs of near-duplicates, by frozen features, {int(differ.sum()):,} have different labels:"
        f" {min(1.0, losses[0] / total):.0%} of the frozen head's log loss of {total:.3f} is disagreement of labels,"
        " which neither images nor training mend"
    )
    return [Line(KIND, do, why, None, None, {})]


def least_loss(differ: float) -> float:
    """The lowest mean log loss, in nats, where the share `differ` of pairs that show one thing have different labels.

    A label that is wrong with probability p makes pairs differ with 2 p (1 - p), and its entropy is the least loss.

    >>> least_loss(0.0), round(least_loss(0.5), 3)
    (0.0, 0.693)
    """
    p = (1 - np.sqrt(max(0.0, 1 - 2 * min(differ, HALF)))) / 2
    if p <= 0:
        return 0.0
    return float(-p * np.log(p) - (1 - p) * np.log(1 - p))


def _nearest(pairs: npt.NDArray[np.int64], images: int) -> npt.NDArray[np.int64]:
    """Each image's most alike partner alone, every pair once: an image with many lookalikes counts once, too."""
    seen = np.zeros(images, dtype=np.bool_)
    kept = []
    for one, other in pairs.tolist():
        if not seen[one] and not seen[other]:
            kept.append((one, other))
        seen[one] = seen[other] = True
    return np.array(kept, dtype=np.int64).reshape(-1, 2)


def _interval(differ: npt.NDArray[np.bool_], groups: npt.NDArray[np.str_]) -> tuple[float, float]:
    from tuner.statistics.means import error_of_mean

    values: FloatArray = differ.astype(np.float64)
    codes = group_codes(groups)
    count = int(codes.max()) + 1
    error = error_of_mean(values, codes) if count > 1 else 0.0
    effective = effective_groups(np.bincount(codes))
    found = score_interval(float(values.mean()), error, effective, len(np.unique(codes[differ])))
    return found.low, found.high
