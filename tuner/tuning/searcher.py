"""A Ray Tune Searcher that asks and tells Optuna the truth, and the callback that feeds it.

Ray's OptunaSearch tells a trial that ASHA stopped as COMPLETE with its last value. Here: stopped by ASHA -> PRUNED with
its value at every rung; finished or out of patience -> COMPLETE with its best epoch; non-finite or raised -> FAIL; cut
by the time budget -> RUNNING still, for a resume. All state is in the run directory (see `trial_store`), so Ray's
snapshots carry none of it.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from trainables.errors import DISK_FULL, NO_SPACE
from trainables.image_losses import LOSSES
from tuner.runs.trial_table import BUDGET_OVER
from tuner.tuning.budget import is_too_late
from tuner.tuning.scheduler import FairASHA
from tuner.tuning.trial_store import TrialStore


class OptunaSearcher(Searcher):  # type: ignore[misc]
    """Proposes trials from `store` while fewer than `slots()` live, and tells it how they end.

    `scheduler` knows why it stopped a trial. A trial whose worker dies is proposed again, up to `max_failures`
    times and within the time budget: Ray's own retries give up at once when an idle worker dies that a trial was
    about to take over. Trials that the time budget cut stay alive, for a resume. After `interrupted` is set nothing
    more is told: the trials that live stay as they are. Pickles to an empty shell.

    `late` is set once nothing more is begun for want of time. `for_folds` says how many seconds folds are to have after
    the trials, of which each has `max_epochs` at most.
    """

    def __init__(
        self,
        store: TrialStore | None = None,
        scheduler: FairASHA | None = None,
        slots: Callable[[], int] | None = None,
        max_failures: int = 0,
        for_folds: Callable[[], float] | None = None,
        ships: Callable[[], bool] | None = None,
        max_epochs: int = 1,
    ) -> None:
        super().__init__()
        self.store, self.scheduler, self.slots = store, scheduler, slots
        self.max_failures, self.max_epochs = max_failures, max_epochs
        self.for_folds, self.ships = for_folds or _nothing, ships or _no
        self.interrupted, self.late = False, False
        self.halted: str | None = None
        self._names: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        OptunaSearcher.__init__(self)

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: Mapping[str, Any], **spec: Any
    ) -> bool:
        """Accept Ray's call; metric, direction and space are known already."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial's config, None for now, FINISHED at the end; called by Ray.

        None while every slot is taken, and while any trial lives: Ray never asks again after FINISHED, and a trial
        whose worker dies has to be tried again.
        """
        if self.store is None or self.slots is None:
            return str(Searcher.FINISHED)
        if self.interrupted or self.over_budget():
            return str(Searcher.FINISHED)
        started = len(self.store.live) - len(self.store.unfinished)
        if started >= self.slots():
            return None
        if self._is_too_late():
            self.late = not self.store.live
            return str(Searcher.FINISHED) if self.late else None
        config = self.store.next()
        if config is None:
            return None if self.store.live else str(Searcher.FINISHED)
        self._names[trial_id] = config["trial_id"]
        return config

    def report(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Pass one epoch on. Ray's trial `trial_id` may have ended with it."""
        store = self.store
        if store is not None and not self.interrupted:
            self._writing(lambda: store.report(self._names[trial_id], result))

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell how the trial ended; called by Ray."""
        store, name = self.store, self._names.get(trial_id)
        if store is None or name is None or self.interrupted:
            return
        if (result or {}).get("reason") == DISK_FULL:
            self.halt(DISK_FULL)
            return
        if error and not self.over_budget() and store.retry(name, self._death_of(name), self.max_failures):
            return
        if self._is_cut(name, result or {}, error):
            self._writing(lambda: store.cut_off(name))
            return
        status, reason, text = self._ending(name, result or {}, error)
        self._writing(lambda: store.finish(name, status, reason, text))

    def interrupt(self) -> None:
        """End the search soon: `Halt` tells Ray. What lives stays as it is, for a resume."""
        self.interrupted = True

    def halt(self, reason: str) -> None:
        """Interrupt the search because of `reason`."""
        self.halted = reason
        self.interrupt()

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the run directory holds it; called by Ray."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore; called by Ray."""

    def _ending(self, name: str, result: Mapping[str, Any], error: bool) -> tuple[str, str, str | None]:
        """Status, reason and traceback of a trial that ended."""
        if error:
            return "failed", "worker died", self._death_of(name)
        reason = result.get("reason")
        if reason in ("completed", "patience"):
            return "completed", str(reason), None
        if reason in ("diverged", "error"):
            return "failed", str(reason), result.get("error")
        verdict = self.scheduler.verdicts.get(name) if self.scheduler else None
        return "stopped", verdict or "stopped", None

    def _is_cut(self, name: str, result: Mapping[str, Any], error: bool) -> bool:
        """Whether the time budget alone ended the trial, by its verdict or since it is not tried again after it."""
        if error:
            return self.over_budget()
        verdict = self.scheduler.verdicts.get(name) if self.scheduler else None
        return result.get("reason") is None and verdict == BUDGET_OVER

    def _writing(self, write: Callable[[], object]) -> None:
        """Let `write` write to the run directory; a full disk halts the search."""
        if self.interrupted:
            return
        try:
            write()
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self.halt(DISK_FULL)

    def _death_of(self, name: str) -> str:
        """What Ray knows of the death of the trial's worker."""
        errors = self.scheduler.errors if self.scheduler else {}
        return errors.get(name, "the worker process died")

    def over_budget(self) -> bool:
        """Whether the time budget is over."""
        return self.scheduler is not None and self.scheduler.left() <= 0

    def _is_too_late(self) -> bool:
        """Whether a trial that is begun now would not end an epoch in time, or take the folds most of theirs."""
        if self.scheduler is None or math.isinf(self.scheduler.left()):
            return False
        left, epoch, kept = self.scheduler.left(), self.scheduler.usual_epoch(), self.for_folds()
        return is_too_late(left, epoch, kept, self.max_epochs, ships=self.ships())


def _nothing() -> float:
    return 0.0


def _no() -> bool:
    return False


class Halt(tune.Stopper):  # type: ignore[misc]
    """Ends Ray's loop once the searcher is interrupted, from whatever thread and signal or none."""

    def __init__(self, searcher: OptunaSearcher | None = None) -> None:
        self.searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.searcher = None

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Whether this trial alone is to stop: never; called by Ray."""
        return False

    def stop_all(self) -> bool:
        """Whether every trial is to stop; called by Ray after every event."""
        return self.searcher is not None and self.searcher.interrupted


class SearcherCallback(tune.Callback):  # type: ignore[misc]
    """Hands the searcher every epoch: of those that end a trial Ray tells a searcher nothing, but callbacks.

    The only way on which an epoch comes to the store: Ray calls it before `on_trial_complete`, and once for each
    result of a worker. The searcher's own `on_trial_result` stays Ray's, which does nothing.
    """

    def __init__(self, searcher: OptunaSearcher | None = None) -> None:
        self.searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.searcher = None

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Report an epoch; called by Ray."""
        if self.searcher is not None:
            self.searcher.report(trial.trial_id, result)
        # Ray keeps a trial's last result, and writes it as text into the state of the experiment.
        result.pop(LOSSES, None)
