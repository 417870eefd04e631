"""A line of advice: what to do, what it is expected to gain, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.statistics.learning_curve import LEVEL, Gain
from tuner.statistics.means import half_width

__all__ = ["Found", "Line", "Unknown", "gain_of", "nothing", "paired_gain"]


@dataclass(frozen=True)
class Line:
    """What is to be done, and why that is expected to help.

    `log_loss` is the expected gain in nats per image, `accuracy` that in the share of right answers, each with its 90 %
    interval; None where it can't be told. `cost` says what it takes, where that is known: `images` or `looks` (images
    that a person looks at), `seconds` of computing, `milliseconds` more an image at each prediction.
    """

    kind: str
    do: str
    why: str
    log_loss: Gain | None
    accuracy: Gain | None = None
    cost: Mapping[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """In plain values, as `--json` prints it."""
        return {
            "kind": self.kind,
            "do": self.do,
            "why": self.why,
            "log_loss": plain_gain(self.log_loss),
            "accuracy": plain_gain(self.accuracy),
            "cost": dict(self.cost),
        }


@dataclass(frozen=True)
class Unknown:
    """Why nothing is said of a kind of advice, in one sentence; `harmful`: it is known that it would only lose."""

    kind: str
    reason: str
    harmful: bool = False


Found = Line | Unknown


def plain_gain(gain: Gain | None) -> dict[str, float] | None:
    """Mean, low and high by name."""
    return None if gain is None else {"mean": gain.mean, "low": gain.low, "high": gain.high}


def nothing() -> Gain:
    """A gain of nothing, for sure."""
    return Gain(0.0, 0.0, 0.0)


def gain_of(mean: float, error: float) -> Gain:
    """A normal distribution's mean and interval."""
    from scipy import special

    half = float(special.ndtri((1 + LEVEL) / 2)) * error
    return Gain(mean, mean - half, mean + half)


def paired_gain(
    before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], groups: npt.ArrayLike
) -> Gain | None:
    """By how much the mean of losses `before` [n] is above that of those `after` [n] on the same images.

    The interval is Student's over whole `groups` [n]. None for a single group.
    """
    difference = before - after
    half = half_width(difference, groups, LEVEL)
    mean = float(difference.mean())
    return None if half is None else Gain(mean, mean - half, mean + half)
