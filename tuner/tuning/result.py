"""What a search leaves: its run directory, the best trial's row, and how it ended."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner.cluster.signals import INTERRUPTED
from tuner.runs.directory import Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SearchResult"]


@dataclass(frozen=True)
class SearchResult:
    """What a search leaves: its run directory, the best trial's row, and how it ended.

    `trouble` says why its space could not be asked for all trials; None if it could. `cut` trials did not end before
    the time budget was over, and go on when the search is resumed.
    """

    run: Run
    best: dict[str, Any] | None
    interrupted: bool
    trouble: str | None = None
    cut: int = 0

    @property
    def exit_status(self) -> int:
        """0 when a trial finished, 1 when none did or the space failed, 130 when interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return 0 if self.best is not None and self.trouble is None else 1

    @property
    def trials(self) -> "pd.DataFrame":
        """One row a trial; see `trials.parquet`."""
        return self.run.trials()

    @property
    def epochs(self) -> "pd.DataFrame":
        """One row an epoch of every trial."""
        return self.run.epochs()
