"""The time budget of a whole command: what of it the search may take, what the folds, what the model that is shipped.

All times are those of `time.monotonic()`, which nobody can set.
"""

import math
import time
from dataclasses import dataclass

__all__ = ["Budget"]

ENDING_S = 4.0
"""Between the last epoch and the end of the command: the tables, and Ray's end."""

SHIPPING_S = 20.0
"""The same where a model folder is written: its formats, and how long the model takes an image."""

FOLDS_SHARE, FINAL_SHARE = 0.35, 0.2
"""Of the time that is left when trials begin: for the other folds, and for training what is shipped on all images."""


@dataclass(frozen=True)
class Budget:
    """When the command has to have ended, None for no limit; `ships`: a model folder is written at the end."""

    deadline: float | None = None
    ships: bool = False

    @classmethod
    def of(cls, seconds: float | None, started: float | None = None, *, ships: bool = False) -> "Budget":
        """So many seconds from `started`, by default from now; None is no limit."""
        since = time.monotonic() if started is None else started
        return cls(None if seconds is None else since + seconds, ships)

    def left(self) -> float:
        """Seconds that are left for all but the ending; infinity without a limit."""
        if self.deadline is None:
            return math.inf
        return self.deadline - (SHIPPING_S if self.ships else ENDING_S) - time.monotonic()

    def search_ends(self, *, folds: bool) -> float | None:
        """When no more epochs of trials may run; `folds`: others judge afterwards."""
        if self.deadline is None:
            return None
        share = 1 - (FOLDS_SHARE if folds else 0) - (FINAL_SHARE if self.ships else 0)
        return time.monotonic() + max(0.0, self.left() * share)

    def folds_end(self, final_s: float) -> float | None:
        """When the folds have to have ended; what is shipped trains for `final_s` seconds after them."""
        if self.deadline is None:
            return None
        return time.monotonic() + self.left() - (final_s if self.ships else 0.0)
