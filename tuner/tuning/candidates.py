"""What judges and is judged after a search: the images, and the trials with their answers out of fold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables import strategies
from trainables.config import TrialConfig
from trainables.data.split import Split

__all__ = ["LOSS", "Candidate", "Floats", "Judges", "by_name"]

Floats = npt.NDArray[np.float64]

LOSS = "val_loss"
"""The metric of which images have values of their own, so that differences have an error."""


@dataclass(frozen=True)
class Judges:
    """The images of training and validation, the metric, and the number of the class that it is of."""

    pool: Split
    metric: str
    positive: int | None


@dataclass
class Candidate:
    """A trial that is judged: its row and configuration, and its answers [n, classes], NaN where there are none."""

    row: Mapping[str, Any]
    config: TrialConfig
    logits: Floats
    cost: float = math.nan

    @property
    def trial_id(self) -> str:
        """The trial's name."""
        return str(self.row["trial_id"])

    @property
    def epochs(self) -> int:
        """How long it trains: as long as its best epoch."""
        return int(self.row["best_epoch"])

    @property
    def luck(self) -> float:
        """By how much its validation loss, the best of all trials', is too low by what all of them show; 0 if unknown.

        It is the difference between what the trial may expect and what was measured.
        """
        estimate, value = self.row.get("estimate"), self.row.get("value")
        return 0.0 if estimate is None or value is None else max(0.0, float(estimate) - float(value))

    @property
    def frozen(self) -> bool:
        """Whether only its head was trained, or solved."""
        return strategies.is_linear_probe(self.config.strategy)

    def lacks(self, images: npt.NDArray[np.bool_]) -> bool:
        """Whether some of the `images` [n] have no answer."""
        return bool((images & ~self.answered()).any())

    def answered(self) -> npt.NDArray[np.bool_]:
        """Which images [n] have an answer."""
        return np.asarray(~np.isnan(self.logits).any(axis=1))


def by_name(candidates: Sequence[Candidate], name: str) -> Candidate:
    """The candidate of the trial `name`."""
    return next(one for one in candidates if one.trial_id == name)
