"""What Optuna is told: the run's journal, which everybody may read, and the copy that proposals are made on.

The journal may hold trials of other programs. Those that were enqueued are offered to the search; the others are named
once and passed over. A trial of ours that another program has ended can't be written to any more.
"""

import contextlib
import copy
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from trainables.config import TrialConfig
from trainables.errors import InvalidValue
from tuner.runs.journal import MARK, create_study, mark_of, own_trials
from tuner.runs.trial import LiveTrial
from tuner.tuning.prior import PROBE
from tuner.tuning.sampler import InMemoryStudy

__all__ = ["Told"]

FIXED = "fixed_params"
"""Name of the attribute under which Optuna keeps what `enqueue_trial` was given."""


class Told:
    """The journal of a run and the copy in memory; `own` are the trials that tuner made, by their number.

    `note` is called once for what is passed over of other programs.
    """

    def __init__(self, journal: Path, metric: str, note: Callable[[str], None]) -> None:
        self.study, self._journal = create_study(journal, metric)
        self._note = note
        self._mark = mark_of(self.study)
        self.own = own_trials(self.study)
        self._known = {trial.number for trial in self.own.values()}
        self._looked_at = 0
        self._waiting: deque[FrozenTrial] = deque()

    def open_in_memory(self, values: Mapping[int, Mapping[int, float]]) -> None:
        """Make the copy, with the intermediate `values` of each of our trials by its number and their steps.

        What the probe found has no parameters that a sampler could learn from.
        """
        seen = {
            number: _as_told(trial, values.get(number))
            for number, trial in self.own.items()
            if trial.user_attrs.get("source") != PROBE
        }
        self._in_memory = InMemoryStudy(self.study, seen)

    def ask(self, sampler: BaseSampler) -> optuna.Trial:
        """A trial whose parameters `sampler` proposes; in the copy alone."""
        return self._in_memory.ask(sampler)

    def drop(self, asked: optuna.Trial) -> None:
        """Forget a proposal that nobody is going to try."""
        self._in_memory.drop(asked)

    def begin(self, asked: optuna.Trial, number: int, trial_id: str, config: TrialConfig, source: str) -> int:
        """Write the proposal into the journal as our trial `number`, all at once; its identity there."""
        identity = self._write_new(trial_id, config, source, asked.params, asked.distributions)
        self._in_memory.accept(asked, number)
        return identity

    def enter(self, trial_id: str, config: TrialConfig, source: str) -> int:
        """Write a trial that nobody proposed into the journal; its identity there. The copy does not show it."""
        return self._write_new(trial_id, config, source, {}, {})

    def _write_new(
        self,
        trial_id: str,
        config: TrialConfig,
        source: str,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
    ) -> int:
        frozen = create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            user_attrs={"trial_id": trial_id, "config": asdict(config), "source": source},
            system_attrs={MARK: self._mark},
        )
        identity = int(self._journal.create_new_trial(self._study, frozen))
        self._known.add(self._journal.get_trial_number_from_id(identity))
        return identity

    def take_up(
        self,
        waiting: FrozenTrial,
        asked: optuna.Trial,
        number: int,
        trial_id: str,
        config: TrialConfig,
        source: str,
    ) -> int:
        """Make the enqueued trial `waiting` our trial `number`; its identity. Raises InvalidValue if it can't be had.

        It waits until all is written, so whoever dies in between finds it waiting, and takes it up again.
        """
        identity = self._identity(waiting)
        attrs = {"trial_id": trial_id, "config": asdict(config), "source": source}
        try:
            begun = self._journal.get_trial(identity).state is not TrialState.WAITING
            if not begun:
                self._write_proposal(identity, asked, attrs)
                begun = not self._journal.set_trial_state_values(identity, TrialState.RUNNING)
                if begun:
                    self._journal.set_trial_system_attr(identity, MARK, "")
        except (UpdateFinishedTrialError, ValueError) as error:
            raise InvalidValue(f"enqueued trial {waiting.number} of study.journal: {error}") from error
        if begun:
            raise InvalidValue(
                f"enqueued trial {waiting.number} of study.journal: another program has begun it"
            )
        self._in_memory.accept(asked, number)
        return identity

    def _write_proposal(self, identity: int, asked: optuna.Trial, attrs: Mapping[str, Any]) -> None:
        for name, value in asked.params.items():
            distribution = asked.distributions[name]
            self._journal.set_trial_param(identity, name, distribution.to_internal_repr(value), distribution)
        for name, content in attrs.items():
            self._journal.set_trial_user_attr(identity, name, content)
        self._journal.set_trial_system_attr(identity, MARK, self._mark)

    def next_enqueued(self) -> tuple[FrozenTrial, dict[str, Any]] | None:
        """The next trial that another program has enqueued, and the parameters that it gave; None without one.

        Trials that another program has begun or ended are named and passed over.
        """
        self._look_around()
        if not self._waiting:
            return None
        trial = self._waiting.popleft()
        return trial, dict(trial.system_attrs.get(FIXED, {}))

    def _look_around(self) -> None:
        new = [trial for trial in self._not_looked_at() if trial.number not in self._known]
        self._known.update(trial.number for trial in new)
        self._waiting.extend(trial for trial in new if trial.state is TrialState.WAITING)
        others = [str(trial.number) for trial in new if trial.state is not TrialState.WAITING]
        if others:
            trials = f"trial{'s' if len(others) > 1 else ''} {', '.join(others)} of study.journal"
            self._note(
                f"skipped: {trials}, made by another program; to have a configuration tried, use Optuna's"
                " enqueue_trial"
            )

    def _not_looked_at(self) -> Iterator[FrozenTrial]:
        """The trials of the journal that are new in it. They are numbered in their order."""
        while True:
            try:
                identity = self._journal.get_trial_id_from_study_id_trial_number(self._study, self._looked_at)
            except KeyError:
                return
            self._looked_at += 1
            yield self._journal.get_trial(identity)

    def report(self, trial: LiveTrial, values: Mapping[int, float]) -> None:
        """Write intermediate `values` by their steps, where the study does not have them."""
        there = self._journal.get_trial(trial.identity).intermediate_values
        for step, value in values.items():
            if there.get(step) != value:
                with contextlib.suppress(UpdateFinishedTrialError):
                    self._journal.set_trial_intermediate_value(trial.identity, step, value)
            self._in_memory.report(trial.number, step, value)

    def ended_elsewhere(self, trial: LiveTrial) -> TrialState | None:
        """The state in which another program has ended the trial; None while it is open."""
        state = self._journal.get_trial(trial.identity).state
        return state if state.is_finished() else None

    def write_row(self, trial: LiveTrial, row: Mapping[str, Any]) -> None:
        """Keep the trial's row of `trials.parquet` in the journal."""
        with contextlib.suppress(UpdateFinishedTrialError):
            self._journal.set_trial_user_attr(trial.identity, "row", dict(row))

    def end(self, trial: LiveTrial, state: TrialState, value: float | None) -> None:
        """Tell the end; `value` is that of a complete trial."""
        told = value if state is TrialState.COMPLETE else None
        if self.ended_elsewhere(trial) is None:
            number = self._journal.get_trial_number_from_id(trial.identity)
            self.study.tell(number, told, state=state, skip_if_finished=True)
        self._in_memory.tell(trial.number, state, told)

    def identity(self, number: int) -> int:
        """The journal's own name of our trial `number`."""
        return self._identity(self.own[number])

    def _identity(self, trial: FrozenTrial) -> int:
        return int(self._journal.get_trial_id_from_study_id_trial_number(self._study, trial.number))

    @property
    def _study(self) -> int:
        return int(self._journal.get_study_id_from_name(self.study.study_name))


def _as_told(trial: FrozenTrial, values: Mapping[int, float] | None) -> FrozenTrial:
    """The trial as this version tells it: its steps, and no value that another program has told.

    An earlier version told epochs as steps.
    """
    told = copy.copy(trial)
    if values is not None:
        told.intermediate_values = dict(values)
    if trial.state is TrialState.COMPLETE and "row" not in trial.user_attrs:
        told.state, told.values = TrialState.PRUNED, None
    return told
