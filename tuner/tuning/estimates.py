"""The losses of each trial's validation images: the best epoch, the expected loss and the choice that follow from them.

They exist where trials are searched by `val_loss` and a split has few validation images. What one trial may expect
depends on the others, so estimates are made anew for all of them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.best_epoch import best_epoch, smoothed
from trainables.metrics import METRICS
from trainables.models.selection import num_parameters
from trainables.strategies import first_result
from tuner.runs.directory import Run, rows_of
from tuner.runs.judged import judged_now
from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray
from tuner.statistics.shrinkage import Shrunken, choose, group_sums, shrink_sums
from tuner.tuning.ranking import counts, smallest

__all__ = ["Estimates", "best_row", "chosen_on_folds"]

Row = Mapping[str, Any]


class Estimates:
    """What the losses say of the trials of `run`, which is searched by `metric`; kept in `losses/` of the run."""

    def __init__(self, run: Run, metric: str) -> None:
        self._run, self._used = run, metric == "val_loss"
        self._losses: dict[str, npt.NDArray[np.float32]] = {}
        self._ended: dict[tuple[str, int, int], FloatArray | None] = {}
        self._groups: npt.NDArray[np.int64] | None = None
        self._made: tuple[list[tuple[str, int, int]], Shrunken] | None = None

    def report(self, trial_id: str, epoch: int, losses: npt.NDArray[np.float32] | None) -> None:
        """Keep the `losses` [images] of the trial's `epoch`, counted from 1; of epochs without any nothing is kept."""
        if not self._used or losses is None:
            return
        known = self._of(trial_id)
        rows = np.full((max(epoch, len(known)), len(losses)), np.nan, dtype=np.float32)
        if len(known):
            rows[: len(known)] = known
        rows[epoch - 1] = losses
        self._run.write_losses(trial_id, rows)
        self._losses[trial_id] = rows

    def best_epoch(self, trial_id: str, epochs: Collection[int], strategy: str) -> int | None:
        """The best of the trial's `epochs`, all that it has ended; None where their losses were not kept."""
        losses, first = self._complete(trial_id, len(epochs)), first_result(strategy) - 1
        return None if losses is None else 1 + best_epoch(list(losses), self.groups, first=first)

    def mean(self, row: Row) -> float | None:
        """The mean loss of the trial of `row` at its best epoch, smoothed: what trials are ordered by."""
        sums = self._sums(row)
        return None if sums is None else float(sums.sum()) / len(self.groups)

    def judged(self, rows: Mapping[str, Row]) -> dict[str, dict[str, Any]]:
        """The `rows` by trial, each with what its trial may expect on new images; as they are if one has no losses."""
        own = [row for row in rows.values() if counts(row)]
        found, judged = self._shrunken(own), {name: dict(row) for name, row in rows.items()}
        if found is not None:
            for row, value, error in zip(own, found.values.tolist(), found.errors.tolist(), strict=True):
                judged[str(row["trial_id"])] |= {"estimate": value, "estimate_error": error}
        return judged

    def choose(self, rows: Iterable[Row]) -> str | None:
        """The best trial of `rows`; of those that tie the one whose model is smallest. None if one has no losses."""
        own = [row for row in rows if counts(row)]
        found = self._shrunken(own)
        if found is None:
            return None
        several = len({row["model"] for row in own}) > 1
        costs = [num_parameters(str(row["model"])) for row in own] if several else None
        return str(own[choose(found, costs)]["trial_id"])

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """The number of each validation image's group."""
        if self._groups is None:
            split = self._run.split()
            self._groups = group_codes(split.loc[split["split"] == "val", "group"].to_numpy(dtype=str))
        return self._groups

    def _shrunken(self, rows: Sequence[Row]) -> Shrunken | None:
        keys = [_key(row) for row in rows]
        if self._made is not None and self._made[0] == keys:
            return self._made[1]
        sums = [self._sums(row) for row in rows]
        known = [one for one in sums if one is not None]
        if not known or len(known) < len(sums):
            return None
        found = shrink_sums(np.stack(known), np.bincount(self.groups).astype(np.float64))
        self._made = keys, found
        return found

    def _sums(self, row: Row) -> FloatArray | None:
        """The sums [groups] of the losses of the trial of `row` at its best epoch."""
        key = _key(row)
        if key not in self._ended:
            losses, first = self._complete(key[0], key[2]), first_result(str(row["strategy"])) - 1
            best = None if losses is None else smoothed(list(losses), key[1] - 1, self.groups, first=first)
            self._ended[key] = None if best is None else group_sums(best, self.groups)[0]
            # The trial has ended, and the file stays.
            self._losses.pop(key[0], None)
        return self._ended[key]

    def _complete(self, trial_id: str, epochs: int) -> npt.NDArray[np.float32] | None:
        """The losses [epochs, images] of a trial of so many `epochs`; None if those of one are missing."""
        losses = self._of(trial_id)[:epochs] if self._used and epochs else None
        if losses is None or len(losses) < epochs or np.isnan(losses).any():
            return None
        return losses

    def _of(self, trial_id: str) -> npt.NDArray[np.float32]:
        if trial_id not in self._losses:
            found = self._run.losses(trial_id)
            self._losses[trial_id] = np.empty((0, 0), dtype=np.float32) if found is None else found
        return self._losses[trial_id]


def best_row(run: Run) -> dict[str, Any] | None:
    """The row of `trials.parquet` of the best trial, chosen as a search chooses it; None if no trial has a score.

    Where all images judged the best trials, it is the one that they chose.
    """
    metric = str(run.record["metric"])
    rows = [row for row in map(_plain, rows_of(run.trials())) if counts(row)]
    rows.sort(key=lambda row: (METRICS[metric].place(row), row["number"]))
    if not rows:
        return None
    named = {str(row["trial_id"]): row for row in rows}
    if (chosen := chosen_on_folds(run, named) or Estimates(run, metric).choose(rows)) is not None:
        return named[chosen]
    first = METRICS[metric].place(rows[0])
    return dict(smallest([row for row in rows if METRICS[metric].place(row) == first]))


def chosen_on_folds(run: Run, rows: Mapping[str, Row]) -> str | None:
    """The trial that all images chose, if its row among `rows` is still what they judged; None where none did."""
    known = judged_now(run, rows.values())
    return next((name for name, one in known.items() if one["chosen"]), None)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """`row` with None for what is missing."""
    return {name: None if value != value else value for name, value in row.items()}


def _key(row: Row) -> tuple[str, int, int]:
    """What the losses of a trial's row follow from: trial, best epoch, number of epochs."""
    return str(row["trial_id"]), int(row["best_epoch"]), int(row["epochs"])
