"""The time budget of a whole command: what of it the search may take, what the folds, what the model that is shipped.

All times are those of `time.monotonic()`, which nobody can set.
"""

import math
import time
from dataclasses import dataclass

__all__ = ["NETWORKS", "Budget", "is_too_late"]

RAY_S = 10.0
"""What Ray and its workers take until the first epoch begins."""

ENDING_S = 4.0
"""Between the last epoch and the end of the command: the tables, and Ray's end."""

SHIPPING_S = 12.0
"""The same where a model folder is written: its formats, and how long the model takes an image."""

HEADS_S = 8.0
"""What heads take to be solved on all images, if these are what is shipped."""

NETWORK_S = 4.0
"""What each further network of the model adds to that."""

FOLDS_SHARE, FINAL_SHARE = 0.4, 0.55
"""Of the time that is left when trials begin, at most: for the other folds, and for training what is shipped on all
images. Where they need more they are left out, and the search has that time, too, but for what heads take."""

MARGIN = 1.15
"""By how much more is kept for training what is shipped than it is expected to take: a trial may end late."""

NETWORKS = 3
"""How many trainings of the choice answer together in what is shipped, where nobody says and time allows. Single ones
differ more by their seed than configurations do; `benchmarks/quality/small_sets.py` has what three gain."""

NETWORKS_SHARE = 0.35
"""Of the time that is left when trials begin, what several of them may take together to be kept back for."""


HALF = 0.5
"""Of a whole training: a trial for which less is left, beside the folds' time, would take the folds most of theirs."""


def is_too_late(left: float, epoch: float, kept: float, max_epochs: int, *, ships: bool = False) -> bool:
    """Whether a trial that is begun now would not end an epoch in time, or take the folds most of theirs.

    `left` is how many seconds trials have, `epoch` how long one takes, `kept` what of `left` the folds are to have. If
    one that has ended `ships`, a trial that could not end half of its schedule is not begun either.
    """
    return left <= epoch or ((kept > 0 or ships) and left - kept <= HALF * epoch * max_epochs)


@dataclass(frozen=True)
class Budget:
    """When the command has to have ended, None for no limit.

    `networks` is how many trainings answer together in the model folder that is written at the end, at most; 0 for
    none.
    """

    deadline: float | None = None
    networks: int = 0

    @classmethod
    def of(cls, seconds: float | None, started: float | None = None, *, networks: int = 0) -> "Budget":
        """So many seconds from `started`, by default from now; None is no limit."""
        since = time.monotonic() if started is None else started
        return cls(None if seconds is None else since + seconds, networks)

    def left(self) -> float:
        """Seconds that are left for all but the ending; infinity without a limit."""
        if self.deadline is None:
            return math.inf
        return self.deadline - (SHIPPING_S if self.networks else ENDING_S) - time.monotonic()

    def reserve(self, total: float, folds: tuple[float, float], final: float) -> tuple[float, float]:
        """Seconds to keep for folds and for what is shipped, of `total` that were left when the trials began.

        `folds` is how long the next folds take of the best trial alone, and all folds of all that may be judged;
        `final` how long training on all images takes.
        """
        least, most = folds
        limit = FOLDS_SHARE * total
        judging = 0.0 if least > limit else min(most, limit)
        shipping = self._shipping(total, final if final <= FINAL_SHARE * total else 0.0)
        return judging, shipping

    def folds_end(self, final_s: float) -> float | None:
        """When the folds have to have ended; what is shipped trains for `final_s` seconds after them."""
        if self.deadline is None:
            return None
        return time.monotonic() + self.left() - self._shipping(self.left(), final_s)

    def _shipping(self, total: float, final: float) -> float:
        """Seconds to keep for training what is shipped, one training of which takes `final`, of `total`."""
        if not self.networks:
            return 0.0
        if final <= 0:
            return min(HEADS_S, FINAL_SHARE * max(0.0, total))
        several = max(1, min(self.networks, int(NETWORKS_SHARE * total / final)))
        return MARGIN * final * several + NETWORK_S * (several - 1)
