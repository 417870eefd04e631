"""Which trials of a run count, and in which order: those that have ended, and those that a time budget cut."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainables.metrics import METRICS
from tuner.runs.directory import Run
from tuner.tuning.estimates import Estimates
from tuner.tuning.ranking import Ranking

if TYPE_CHECKING:
    from trainables.image_losses import Losses

__all__ = ["Standings"]


class Standings:
    """`rows` are those of ended trials, by trial; `cut` are those of living trials that a time budget cut.

    What a trial had reached when it was cut counts until it ends.
    """

    def __init__(self, run: Run, metric: str) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.cut: dict[str, dict[str, Any]] = {}
        self._combinations: dict[str, str] = {}
        self._estimates = Estimates(run, metric)
        self._ranking = Ranking(METRICS[metric], self._estimates.mean)

    def report(self, trial_id: str, epoch: int, losses: "Losses | None") -> None:
        """Keep the losses of the validation images after an epoch of a trial; None where it told none."""
        self._estimates.report(trial_id, epoch, losses)

    def best_epoch(self, trial_id: str, epochs: Mapping[int, Any], strategy: str) -> int | None:
        """The best of the trial's `epochs`; None where the losses of the images do not tell it."""
        return self._estimates.best_epoch(trial_id, epochs, strategy)

    def enter(self, row: dict[str, Any], combination: str) -> None:
        """Note the row of a trial that has ended, in its place among the others; it is cut no more."""
        trial_id = str(row["trial_id"])
        self.cut.pop(trial_id, None)
        self.rows[trial_id] = row
        self._ranking.enter(row, combination)

    def enter_cut(self, row: dict[str, Any], combination: str) -> None:
        """Note how far a trial came that a time budget cut."""
        trial_id = str(row["trial_id"])
        self.cut[trial_id], self._combinations[trial_id] = row, combination

    def scored(self) -> dict[str, dict[str, Any]]:
        """The rows of ended trials and of those that were cut, by trial."""
        return {**self.rows, **self.cut}

    def judged(self) -> dict[str, dict[str, Any]]:
        """The same rows with what each trial may expect on new images, where the losses of the images tell it."""
        return self._estimates.judged(self.scored())

    def best(self) -> dict[str, Any] | None:
        """The row of the best trial that has a value and did not fail, or None; a tie goes to the smaller model."""
        rows = self.judged()
        trial_id = self._estimates.choose(rows.values()) or self._ordered().best()
        return None if trial_id is None else rows[trial_id]

    def best_first(self) -> list[dict[str, Any]]:
        """The rows of trials that have a value and did not fail, the lowest value first."""
        rows = self.judged()
        return [rows[trial_id] for trial_id in self._ordered().ordered()]

    def kept(self, top: int) -> set[str]:
        """Trials whose weights stay: the best of every combination, and the `top` best of all."""
        return self._ordered().kept(top)

    def _ordered(self) -> Ranking:
        """The order of all trials that count now."""
        if not self.cut:
            return self._ranking
        ranking = self._ranking.copy()
        for trial_id, row in self.cut.items():
            ranking.enter(row, self._combinations[trial_id])
        return ranking
