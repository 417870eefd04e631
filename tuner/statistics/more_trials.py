"""What as many trials again would gain, from the values of those that a search has had.

The best of a search improves in rare jumps: of as many trials again, drawn like those before, every second time none is
better than the best so far. What the second half of the trials brought, over all orders in which the trials might have
come, says how large such jumps are: with probability 1/2 the best of all came in the first half, with 1/4 the second
best did and the best later, and so forth. Near a floor the jumps become smaller: the next ones are `SMALLER` times
those on average, and one in twenty is larger than `RARE` times what one in twenty of those was. Both follow from two
sets of recorded trials; `benchmarks/statistics/advice.py` shows the others.
"""

from collections.abc import Sequence

import numpy as np

from tuner.statistics.learning_curve import LEVEL, Gain

__all__ = ["FEWEST_TRIALS", "gain_of_more"]

FEWEST_TRIALS = 8
"""Trials below which nobody knows how their values are distributed."""

SMALLER, RARE = 0.6, 1.2
"""The next half's mean jump, and its rare ones, over those of the last."""


def gain_of_more(costs: Sequence[float], behind: float = 0.0) -> Gain:
    """By how much the lowest of `costs` is expected to fall in as many trials again, with its 90 % interval.

    Where a model is there already that is better than all of them by `behind`, only what passes it is a gain.

    Raises ValueError for fewer than `FEWEST_TRIALS` costs.

    >>> found = gain_of_more([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2])
    >>> round(found.mean, 3), found.low, round(found.high, 3)
    (0.048, 0.0, 0.36)
    """
    ordered = np.sort(np.asarray(costs, dtype=np.float64))
    count = len(ordered)
    if count < FEWEST_TRIALS:
        raise ValueError(f"{count} costs are fewer than {FEWEST_TRIALS}")
    kept = count // 2
    # The best of the first half is the i-th of all if that one is in it and no better one is.
    missed, shares = 1.0, []
    for place in range(count - kept + 1):
        chosen = kept / (count - place)
        shares.append(missed * chosen)
        missed *= 1 - chosen
    jumps = ordered[: len(shares)] - ordered[0]
    reached = np.cumsum(shares)
    low, high = (jumps[np.searchsorted(reached, level)] for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Gain(
        float(np.dot(shares, np.maximum(0.0, SMALLER * jumps - behind))),
        max(0.0, RARE * float(low) - behind),
        max(0.0, RARE * float(high) - behind),
    )
