"""What of a time budget trials may take, and what judges and trains after them: as in a run, by the same rules."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tuner.tuning.budget import FINAL_SHARE, Budget, is_too_late
from tuner.tuning.fold_seconds import MOST, folds_seconds
from tuner.tuning.folds import TRIALS_EACH

__all__ = ["Limits"]


@dataclass
class Limits:
    """The limits of one simulated search: `total` seconds from its first trial on, infinity without a time budget.

    `folds` judge the best trials after it, 0 for none; `networks` is how many trainings the shipped model has at most,
    0 for none, each `more` times as long as a trial's. `slots` train at once, for `max_epochs` at most; an epoch is
    expected to take `epoch` seconds before one was timed.
    """

    total: float = math.inf
    folds: int = 0
    networks: int = 0
    more: float = 1.0
    slots: int = 1
    max_epochs: int = 1
    epoch: float = 0.0
    ended: list[dict[str, Any]] = field(default_factory=list)
    longest: dict[int, float] = field(default_factory=dict)

    def timed(self, number: int, seconds: float) -> None:
        """Note that an epoch of trial `number` took so long."""
        self.longest[number] = max(seconds, self.longest.get(number, 0.0))

    def end(self, loss: float, epochs: int, seconds: float) -> None:
        """Note that a trial of so many epochs and seconds has ended, with a validation loss of `loss`."""
        self.ended.append(
            {"source": "simulated", "best_epoch": epochs, "epochs": epochs, "seconds": seconds, "loss": loss}
        )

    def is_over(self, now: float) -> bool:
        """Whether a trial that runs is cut, `now` seconds after the first began."""
        return now >= self.total - self._keeps()[1]

    def too_late(self, now: float) -> bool:
        """Whether no trial begins any more, `now` seconds after the first did."""
        if math.isinf(self.total):
            return False
        judging, shipping = self._keeps()
        left = self.total - shipping - now
        ships = self.networks > 0 and bool(self.ended)
        return is_too_late(left, self._usual(), judging, self.max_epochs, ships=ships)

    def judging_s(self, now: float) -> float:
        """How long the folds take after trials that ended `now` seconds after the first began."""
        rows = self._best_first()
        if math.isinf(self.total):
            rows = rows[: min(MOST, len(rows) // TRIALS_EACH)]
        wanted = folds_seconds(rows, self.folds, self.slots)[1] if self.folds else 0.0
        return max(0.0, min(wanted, self.total - self._keeps()[1] - now))

    def _keeps(self) -> tuple[float, float]:
        if math.isinf(self.total):
            return 0.0, 0.0
        rows = self._best_first()
        judging = folds_seconds(rows, self.folds, self.slots) if self.folds else (0.0, 0.0)
        trained = max((row["seconds"] for row in rows[:MOST]), default=0.0)
        planned = min(self.more * self.max_epochs * self._usual(), FINAL_SHARE * self.total)
        final = max(self.more * trained, planned) if self.networks else 0.0
        return Budget(networks=self.networks).reserve(self.total, judging, final)

    def _usual(self) -> float:
        """The median of the trials' longest epochs, in seconds."""
        return float(np.median(list(self.longest.values()))) if self.longest else self.epoch

    def _best_first(self) -> Sequence[Mapping[str, Any]]:
        return sorted(self.ended, key=lambda row: float(row["loss"]))
