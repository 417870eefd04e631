"""The driver's book of a run: which trials live, what they reported, how they ended, whose weights are kept.

The journal is the source: a trial's row is written into it before its end is told, and `trials.parquet` is made
from it. So a driver may be killed between any two lines: a TrialStore opened again finds every trial either finished
or still to go on.
"""

import dataclasses
import shutil
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

import search_spaces
from trainables.checkpoint import SPLIT, read_split, take_best, write_split
from trainables.config import EPOCH_COLUMNS, MEASURED, TrialConfig
from trainables.errors import UserMistake
from trainables.metrics import METRICS
from trainables.storage import RunFolder
from tuner.runs.directory import Run, TrialRow, flat_row
from tuner.runs.journal import create_study
from tuner.runs.trial import LiveTrial
from tuner.tracking.events import Observer, tell_end, tell_epoch
from tuner.tuning.proposals import REDRAWS, Proposals, Proposer
from tuner.tuning.ranking import Ranking
from tuner.tuning.sampler import Mirror
from tuner.tuning.settled import Settling

OUT_OF_MEMORY = ("OutOfMemoryError", "out of memory", "OOM")
"""What Ray's report of a dead worker says when the host ran out of memory."""

SECONDS_BETWEEN_TABLES = 2.0


class TrialStore:
    """Asks, reports and tells; keeps the run directory true at every moment; `observers` hear of it afterwards."""

    def __init__(
        self,
        run: Run,
        proposals: Proposals,
        metric: str,
        num_samples: int,
        keep: int,
        storage: RunFolder | None = None,
    ) -> None:
        self.storage = storage or RunFolder(run.path)
        self.run, self.proposals, self.metric = run, proposals, metric
        self.num_samples, self.keep = num_samples, keep
        self.study, self._journal = create_study(run.journal, metric)
        self._mirror = Mirror(self.study)
        self._proposer = Proposer(proposals)
        self.live: dict[str, LiveTrial] = {}
        self.unfinished: deque[str] = deque()
        self.rows: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, TrialConfig] = {}
        self._seen: set[tuple[Any, ...]] = set()
        self._asked = 0
        self._written = 0.0
        self._weights = str(run.record.get("weights", ""))
        self._ranking = Ranking(METRICS[metric])
        self.exhausted = False
        self.trouble: str | None = None
        self.settling: Settling | None = None
        self.observers: list[Observer] = []
        self._reopen()

    def _reopen(self) -> None:
        """Take up what the journal holds: rows of finished trials, and the others as unfinished."""
        for trial in self.study.get_trials(deepcopy=False):
            self._asked += 1
            config = TrialConfig(**trial.user_attrs["config"])
            self._seen.add(_signature(config))
            trial_id = trial.user_attrs["trial_id"]
            self.configs[trial_id] = config
            if trial.state.is_finished():
                self._enter(trial.user_attrs["row"], config)
                shutil.rmtree(self.run.alive(trial_id), ignore_errors=True)
                continue
            past = self.run.epochs(trial_id).drop(columns="trial_id").to_dict("records")
            epochs = {int(row["epoch"]): {str(name): value for name, value in row.items()} for row in past}
            identity, source = self._identity(trial.number), trial.user_attrs.get("source")
            self.live[trial_id] = LiveTrial(trial_id, trial.number, identity, config, epochs, source=source)
            self.unfinished.append(trial_id)
        if self._asked:
            self.storage.keep_only(self.live)

    def next(self) -> dict[str, Any] | None:
        """The config of the trial to start or to go on with, `trial_id` in it; None when all have been asked.

        A space that raises is asked no more: `trouble` says why, and what lives goes on.
        """
        if self.unfinished:
            trial = self.live[self.unfinished.popleft()]
        elif self._may_propose():
            proposed = self._propose()
            if proposed is None:
                return None
            trial = proposed
        else:
            return None
        self.run.alive(trial.trial_id).mkdir(parents=True, exist_ok=True)
        for observer in self.observers:
            observer.started(trial)
        return {"trial_id": trial.trial_id, **asdict(trial.config)}

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
        trial.epochs[epoch] = {name: result.get(name) for name in EPOCH_COLUMNS}
        self.run.write_epochs(trial_id, [trial.epochs[number] for number in sorted(trial.epochs)])
        self._journal.set_trial_intermediate_value(trial.identity, epoch, float(result[self.metric]))
        self._mirror.report(trial.number, epoch, float(result[self.metric]))
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
            write_split(folder, read_split(folder) * 2)
            self.storage.replace(trial_id, folder / SPLIT)
        self.unfinished.append(trial_id)
        return True

    def finish(self, trial_id: str, status: str, reason: str, error: str | None = None) -> TrialRow | None:
        """Tell how a trial ended; completed -> COMPLETE with its best epoch, stopped -> PRUNED, failed -> FAIL."""
        trial = self.live.get(trial_id)
        if trial is None:
            return None
        row = self._row(trial, status, reason, error)
        flat = flat_row(row, asdict(trial.config))
        if error is not None:
            (self.run.path / "failures" / f"{trial_id}.txt").write_text(error, encoding="utf-8")
        self._journal.set_trial_user_attr(trial.identity, "row", flat)
        self._enter(flat, trial.config)
        # Before the end is told: whoever dies here goes on with the trial, and finds its weights kept already.
        self._keep_weights()
        state = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}[
            status
        ]
        self._complete_intermediate(trial)
        self.study.tell(trial.number, row.value if state is TrialState.COMPLETE else None, state=state)
        self._mirror.tell(trial.number, state, row.value)
        del self.live[trial_id]
        shutil.rmtree(self.run.alive(trial_id), ignore_errors=True)
        self.storage.forget(trial_id)
        self.write_table(force=False)
        tell_end(self.observers, trial, flat)
        return row

    def clear_ended(self) -> None:
        """Remove the folders of trials that have ended once more, when their workers are gone.

        A worker that was still writing its state when its trial ended makes files while the folder is being emptied.
        """
        for folder in (self.run.path / "alive").iterdir():
            if folder.name not in self.live:
                shutil.rmtree(folder, ignore_errors=True)

    def write_table(self, *, force: bool = True) -> None:
        """Write `trials.parquet`; without `force` only if the last time is long enough ago."""
        if force or time.monotonic() - self._written > SECONDS_BETWEEN_TABLES:
            self.run.write_trials(sorted(self.rows.values(), key=lambda row: int(row["number"])))
            self._written = time.monotonic()

    def best(self) -> dict[str, Any] | None:
        """The row of the best trial that has a value and did not fail, or None."""
        trial_id = self._ranking.best()
        return None if trial_id is None else self.rows[trial_id]

    def _may_propose(self) -> bool:
        if self._asked >= self.num_samples or self.exhausted or self.trouble is not None:
            return False
        return self.settling is None or not self.settling.reached(self.rows.values())

    def _propose(self) -> LiveTrial | None:
        number = self._asked
        for draw in range(REDRAWS):
            sampler, source = self._proposer.sampler(number, draw)
            asked = self._mirror.ask(sampler)
            try:
                config = self._configure(asked, number)
            except UserMistake as error:
                # Written at once: whoever resumes after a kill must know why the space was edited.
                self.trouble = str(error)
                self.run.update_record(space_trouble=self.trouble)
                return None
            if _signature(config) not in self._seen:
                return self._accept(asked, number, config, source)
            self._mirror.drop(asked)
        self.exhausted = True
        return None

    def _configure(self, asked: optuna.Trial, number: int) -> TrialConfig:
        seed = int(np.random.SeedSequence([self.proposals.seed, 1, number]).generate_state(1)[0])
        overrides = {**self.proposals.overrides, "seed": seed}
        return search_spaces.configure(self.proposals.space, asked, overrides, self.proposals.allowed)

    def _accept(self, asked: optuna.Trial, number: int, config: TrialConfig, source: str) -> LiveTrial:
        trial_id = f"{config.model.replace(':', '_').replace('/', '_')}-{config.strategy}-{number:05d}"
        frozen = create_trial(
            state=TrialState.RUNNING,
            params=asked.params,
            distributions=asked.distributions,
            user_attrs={"trial_id": trial_id, "config": asdict(config), "source": source},
        )
        self.study.add_trial(frozen)
        identity = self._identity(number)
        self._mirror.accept(asked, number)
        self._seen.add(_signature(config))
        self._asked += 1
        self.configs[trial_id] = config
        self.live[trial_id] = LiveTrial(trial_id, number, identity, config, source=source)
        return self.live[trial_id]

    def _identity(self, number: int) -> int:
        """The journal's own name of trial `number`."""
        study = self._journal.get_study_id_from_name(self.study.study_name)
        return int(self._journal.get_trial_id_from_study_id_trial_number(study, number))

    def _complete_intermediate(self, trial: LiveTrial) -> None:
        """Write the intermediate values that a kill between part and journal left out."""
        told = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        for epoch in sorted(set(trial.epochs) - set(told)):
            value = float(trial.epochs[epoch][self.metric])
            self._journal.set_trial_intermediate_value(trial.identity, epoch, value)

    def _row(self, trial: LiveTrial, status: str, reason: str, error: str | None) -> TrialRow:
        base = TrialRow(
            trial.trial_id,
            trial.number,
            status,
            reason,
            error=error,
            weights=self._weights,
            retries=trial.retries,
            source=trial.source,
        )
        if not trial.epochs:
            return base
        ordered = [trial.epochs[number] for number in sorted(trial.epochs)]
        best = min(ordered, key=lambda epoch: METRICS[self.metric].cost(float(epoch[self.metric])))
        return dataclasses.replace(
            base,
            best_epoch=int(best["epoch"]),
            epochs=len(ordered),
            value=float(best[self.metric]),
            metrics={name: best.get(name) for name in MEASURED},
            seconds=sum(float(epoch["epoch_seconds"]) for epoch in ordered),
            trainable_first=int(ordered[0]["trainable_parameters"]),
            trainable_last=int(ordered[-1]["trainable_parameters"]),
            applied_learning_rates_first=trial.applied.get("learning_rates_first"),
            applied_learning_rates_last=trial.applied.get("learning_rates_last"),
            applied_loss=trial.applied.get("loss"),
            applied_sampler=trial.applied.get("sampler"),
            applied_batch=trial.applied.get("batch"),
            applied_step=trial.applied.get("step"),
        )

    def _enter(self, row: dict[str, Any], config: TrialConfig) -> None:
        """Note the row of a trial that has ended, in its place among the others."""
        self.rows[str(row["trial_id"])] = row
        self._ranking.enter(row, config.combination)

    def _keep_weights(self) -> None:
        kept = self._ranking.kept(self.keep)
        for trial_id in kept:
            target = self.run.weights(trial_id)
            if target.exists() or not self.run.alive(trial_id).exists():
                continue
            folder, epoch = self.run.alive(trial_id), int(self.rows[trial_id]["best_epoch"])
            self.storage.collect(trial_id, epoch, folder)
            take_best(folder, epoch, target)
        for file in (self.run.path / "weights").glob("*.safetensors"):
            if file.stem not in kept:
                file.unlink()


def _signature(config: TrialConfig) -> tuple[Any, ...]:
    """What makes two configurations the same, whatever their seeds."""
    return tuple(value for name, value in asdict(config).items() if name != "seed")
