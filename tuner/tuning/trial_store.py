"""The driver's book of a run: which trials live, what they reported, how they ended, whose weights are kept.

The journal is the source: a trial's row is written into it before its end is told, and `trials.parquet` is made
from it. So a driver may be killed between any two lines: a TrialStore opened again finds every trial either finished
or still to go on.
"""

import shutil
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from trainables.checkpoint import SPLIT, best_name, read_batch_parts, write_batch_parts
from trainables.config import EPOCH_COLUMNS, EpochMetrics, TrialConfig
from trainables.image_losses import LOSSES, Losses
from trainables.pace import Pace
from trainables.storage import RunFolder
from tuner.runs.directory import Run
from tuner.runs.heartbeat import request_stop
from tuner.runs.trial import LiveTrial
from tuner.runs.trial_table import BUDGET_OVER, ENDED_ELSEWHERE, TrialRow, flat_row
from tuner.tracking.events import Observer, tell_end, tell_epoch
from tuner.tuning.asker import Asker
from tuner.tuning.convergence import Settling
from tuner.tuning.kept_weights import KeptWeights
from tuner.tuning.proposals import Proposals
from tuner.tuning.rungs import Steps
from tuner.tuning.standings import Standings
from tuner.tuning.told import Told
from tuner.tuning.trial_rows import epochs_by_trial, row_of

if TYPE_CHECKING:
    import pandas as pd

OUT_OF_MEMORY = ("OutOfMemoryError", "out of memory", "OOM")
"""What Ray's report of a dead worker says when the host ran out of memory."""

SECONDS_BETWEEN_TABLES = 2.0


class TrialStore:
    """Asks, reports and tells; keeps the run directory true at every moment; `observers` hear of it afterwards.

    `standings` say which trials count, and in which order. `reported` are the epochs that the run had when it was
    opened, None of a new one. `steps` says what Optuna is told of a trial's epochs, `note` what a person should know.
    """

    def __init__(
        self,
        run: Run,
        proposals: Proposals,
        metric: str,
        num_samples: int,
        keep: int,
        storage: RunFolder | None = None,
        *,
        steps: Steps | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.storage = storage or RunFolder(run.path)
        self.run, self.proposals, self.metric = run, proposals, metric
        self.num_samples, self.keep = num_samples, keep
        self._steps = steps or Steps()
        self._told = Told(run.journal, metric, note)
        self._asker = Asker(run, proposals, self._told, note)
        self._kept = KeptWeights(run, self.storage)
        self.live: dict[str, LiveTrial] = {}
        self.unfinished: deque[str] = deque()
        self.standings = Standings(run, metric)
        self.configs: dict[str, TrialConfig] = {}
        self._tables = Pace(SECONDS_BETWEEN_TABLES)
        self._weights = str(run.record.get("weights", ""))
        self.settling: Settling | None = None
        self.reported: pd.DataFrame | None = None
        self.observers: list[Observer] = []
        self._reopen()

    def _reopen(self) -> None:
        """Take up what the journal holds: rows of finished trials, and the others as unfinished."""
        self.reported = self.run.epochs() if self._told.own else None
        past = {} if self.reported is None else epochs_by_trial(self.reported)
        values: dict[int, dict[int, float]] = {}
        for number, trial in self._told.own.items():
            attrs = trial.user_attrs
            config, trial_id = TrialConfig(**attrs["config"]), str(attrs["trial_id"])
            epochs = past.get(trial_id, {})
            if epochs:
                values[number] = self._steps.of(config, epochs, self.metric)
            self._asker.know(config, attrs.get("source"))
            self.configs[trial_id] = config
            identity = self._told.identity(number)
            found = LiveTrial(trial_id, number, identity, config, epochs, source=attrs.get("source"))
            if trial.state.is_finished():
                self._reopen_ended(found, trial)
            else:
                self._reopen_living(found, attrs.get("row"))
        self._told.open_in_memory(values)
        if self._told.own:
            self._keep_weights()
            self._kept.keep_only(self.standings.kept(self.keep))
            self.clear_ended()
            self.storage.keep_only(self.live)

    def _reopen_ended(self, trial: LiveTrial, told: FrozenTrial) -> None:
        """Enter the row of a trial that has ended; one that another program ended has none yet."""
        row = told.user_attrs.get("row")
        if row is None:
            row = self._flat(trial, *_elsewhere(told.state))
        self.standings.enter(row, trial.config.combination)

    def _reopen_living(self, trial: LiveTrial, row: dict[str, Any] | None) -> None:
        """Let a trial go on, without what was kept for an end that was not told: it may get better."""
        self.live[trial.trial_id] = trial
        self.unfinished.append(trial.trial_id)
        if row is not None and row["reason"] == BUDGET_OVER:
            self.standings.enter_cut(row, trial.config.combination)
        else:
            self._kept.forget(trial.trial_id)

    def next(self) -> dict[str, Any] | None:
        """The config of the trial to start or to go on with, `trial_id` in it; None when all have been asked.

        A space that raises is asked no more: `trouble` says why, and what lives goes on.
        """
        if self.unfinished:
            trial = self.live[self.unfinished.popleft()]
        elif self._may_propose():
            proposed = self._asker.ask()
            if proposed is None:
                return None
            trial = proposed
            self.configs[trial.trial_id] = trial.config
            self.live[trial.trial_id] = trial
        else:
            return None
        self.run.alive(trial.trial_id).mkdir(parents=True, exist_ok=True)
        for observer in self.observers:
            observer.started(trial)
        return {"trial_id": trial.trial_id, **asdict(trial.config)}

    def enter(
        self,
        config: TrialConfig,
        source: str,
        epoch: EpochMetrics,
        losses: Losses | None,
        write: Callable[[Path], None],
    ) -> None:
        """Take in a trial that has been trained already, in one epoch.

        `losses` are those of the validation images, `write` makes the file of its weights.
        """
        trial = self._asker.enter(config, source)
        self.configs[trial.trial_id], self.live[trial.trial_id] = config, trial
        folder = self.run.alive(trial.trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / best_name(epoch.epoch))
        self.report(trial.trial_id, {**epoch.row(), LOSSES: losses})
        self.finish(trial.trial_id, "completed", "completed")

    def report(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Take in one epoch's result; False if it brought nothing new.

        A trial that goes on, after a retry or a resume, tells its past epochs again.
        """
        trial = self.live.get(trial_id)
        if trial is None or "epoch" not in result or self.metric not in result:
            return False
        trial.applied = result.get("applied") or trial.applied
        epoch = int(result["epoch"])
        if epoch in trial.epochs:
            return False
        self.standings.report(trial_id, epoch, result.get(LOSSES))
        trial.epochs[epoch] = {name: result.get(name) for name in EPOCH_COLUMNS}
        self.run.write_epochs(trial_id, [trial.epochs[number] for number in sorted(trial.epochs)])
        self._told.report(trial, self._steps.of(trial.config, trial.epochs, self.metric))
        if self._told.ended_elsewhere(trial) is not None:
            request_stop(self.run, trial_id)
        tell_epoch(self.observers, trial, epoch, self.metric)
        return True

    def retry(self, trial_id: str, error: str, max_failures: int) -> bool:
        """Put a trial whose worker died back in the queue, with smaller parts if memory ran out.

        False if it has been tried `max_failures` times again already.
        """
        trial = self.live.get(trial_id)
        if trial is None or trial.retries >= max_failures:
            return False
        trial.retries += 1
        if any(sign in error for sign in OUT_OF_MEMORY):
            folder = self.run.alive(trial_id)
            write_batch_parts(folder, read_batch_parts(folder) * 2)
            self.storage.replace(trial_id, folder / SPLIT)
        self.unfinished.append(trial_id)
        return True

    def finish(self, trial_id: str, status: str, reason: str, error: str | None = None) -> TrialRow | None:
        """Tell how a trial ended; completed -> COMPLETE with its best epoch, stopped -> PRUNED, failed -> FAIL."""
        trial = self.live.get(trial_id)
        if trial is None:
            return None
        elsewhere = self._told.ended_elsewhere(trial)
        if elsewhere is not None:
            status, reason = _elsewhere(elsewhere)
        row = self._row(trial, status, reason, error)
        flat = flat_row(row, asdict(trial.config))
        if error is not None:
            (self.run.path / "failures" / f"{trial_id}.txt").write_text(error, encoding="utf-8")
        self._told.write_row(trial, flat)
        self.standings.enter(flat, trial.config.combination)
        # Before the end is told, so that no ended trial lacks its weights. Whoever dies here goes on with the trial.
        self._keep_weights(trial_id)
        state = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}[
            status
        ]
        # What a kill between part and journal left out comes with it.
        self._told.report(trial, self._steps.of(trial.config, trial.epochs, self.metric))
        self._told.end(trial, state, row.value)
        # After the end is told: until then they may be among the best once more.
        self._kept.keep_only(self.standings.kept(self.keep))
        del self.live[trial_id]
        shutil.rmtree(self.run.alive(trial_id), ignore_errors=True)
        self.storage.forget(trial_id)
        self.write_table(force=False)
        tell_end(self.observers, trial, flat)
        return row

    def cut_off(self, trial_id: str) -> None:
        """Note how far a trial came before the time budget was over: it lives on, for a resume."""
        trial = self.live.get(trial_id)
        if trial is None or not trial.epochs:
            return
        # First, so that weights of an earlier cut never stand beside a later row.
        self._kept.forget(trial_id)
        flat = self._flat(trial, "stopped", BUDGET_OVER)
        self._told.write_row(trial, flat)
        self.standings.enter_cut(flat, trial.config.combination)
        self._keep_weights(trial_id)
        self._kept.keep_only(self.standings.kept(self.keep))

    def cut_off_all(self) -> None:
        """The same of every trial that lives, also of one that was not begun again before the budget was over."""
        for trial_id, trial in self.live.items():
            if self.standings.cut.get(trial_id, {}).get("epochs") != len(trial.epochs):
                self.cut_off(trial_id)

    def clear_ended(self) -> None:
        """Remove the folders of trials that have ended once more, when their workers are gone.

        A worker that was still writing its state when its trial ended makes files while the folder is being emptied.
        """
        for folder in (self.run.path / "alive").iterdir():
            if folder.name not in self.live:
                shutil.rmtree(folder, ignore_errors=True)

    def write_table(self, *, force: bool = True) -> None:
        """Write `trials.parquet`; without `force` only if the last time is long enough ago."""
        if force or self._tables.due:
            with self._tables.working():
                rows = self.standings.judged().values()
                self.run.write_trials(sorted(rows, key=lambda row: int(row["number"])))

    @property
    def exhausted(self) -> bool:
        """Whether the space has no configuration left that was not tried."""
        return self._asker.exhausted

    @property
    def trouble(self) -> str | None:
        """Why the space can't be asked any more; None while it can."""
        return self._asker.trouble

    @property
    def not_begun(self) -> int:
        """How many trials that were asked for have not begun; 0 where there is no other configuration."""
        return 0 if self.exhausted else max(0, self.num_samples - self._asker.asked + self._asker.entered)

    def _may_propose(self) -> bool:
        if not self.not_begun or self.trouble is not None:
            return False
        return self.settling is None or not self.settling.reached(self.standings.rows.values())

    def _flat(self, trial: LiveTrial, status: str, reason: str) -> dict[str, Any]:
        return flat_row(self._row(trial, status, reason), asdict(trial.config))

    def _row(self, trial: LiveTrial, status: str, reason: str, error: str | None = None) -> TrialRow:
        best = self.standings.best_epoch(trial.trial_id, trial.epochs, trial.config.strategy)
        return row_of(trial, self.metric, status, reason, error, weights=self._weights, best_epoch=best)

    def _keep_weights(self, changed: str | None = None) -> None:
        """Keep the weights of those who are to have them and have none, and of `changed` in any case."""
        rows = self.standings.scored()
        for trial_id in self.standings.kept(self.keep):
            if trial_id == changed or not self._kept.has(trial_id):
                self._kept.take(trial_id, int(rows[trial_id]["best_epoch"]))


def _elsewhere(state: TrialState) -> tuple[str, str]:
    """Status and reason of a trial that another program ended in `state`: its value is not one that it measured."""
    return "failed" if state is TrialState.FAIL else "stopped", ENDED_ELSEWHERE
