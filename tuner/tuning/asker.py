"""The next configuration of a run: from another program's queue, the space's first trials, its prior or the sampler."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial

import search_spaces
from search_spaces.sampling import CheckedTrial
from trainables.config import TrialConfig
from trainables.errors import InvalidValue, UserMistake
from tuner.runs.directory import Run
from tuner.runs.trial import LiveTrial
from tuner.tuning.prior import ENQUEUED, PROBE
from tuner.tuning.proposals import REDRAWS, Proposals, Proposer
from tuner.tuning.told import Told

__all__ = ["Asker"]


class Asker:
    """Proposes trials that the journal gets at once; no configuration twice.

    `asked` is how many trials there are, and the next one's number. An enqueued trial takes no place of a first trial,
    nor does what the probe found: the sampler and its seed go by the number without these. `entered` counts those that
    nobody proposed. `exhausted` says that nothing is left that was not tried; `trouble` why the space can't be asked
    any more. `note` is told what is passed over.
    """

    def __init__(self, run: Run, proposals: Proposals, told: Told, note: Callable[[str], None]) -> None:
        self._run, self._proposals, self._told, self._note = run, proposals, told, note
        self._proposer = Proposer(proposals)
        self._seen: set[tuple[Any, ...]] = set()
        self._taken_up = 0
        self.entered = 0
        self.asked = max(told.own, default=-1) + 1
        self.exhausted = False
        self.trouble: str | None = None

    def know(self, config: TrialConfig, source: str | None) -> None:
        """Note a configuration of the run, so that it is not proposed again."""
        self._seen.add(_signature(config))
        self._taken_up += source in (ENQUEUED, PROBE)
        self.entered += source == PROBE

    def ask(self) -> LiveTrial | None:
        """A new trial: an enqueued one where there is any that fits the space, else what the sampler proposes."""
        while (found := self._told.next_enqueued()) is not None:
            try:
                return self._take_up(*found)
            except UserMistake as error:
                self._note(f"skipped: {error}")
        number, place = self.asked, self.asked - self._taken_up
        for draw in range(REDRAWS):
            sampler, source = self._proposer.sampler(place, draw)
            asked = self._told.ask(sampler)
            try:
                config = self._configure(asked, number)
            except UserMistake as error:
                # Written at once: whoever resumes after a kill must know why the space was edited.
                self.trouble = str(error)
                self._run.update_record(space_trouble=self.trouble)
                return None
            if _signature(config) not in self._seen:
                identity = self._told.begin(asked, number, _name(config, number), config, source)
                return self._accept(identity, config, source)
            self._told.drop(asked)
        self.exhausted = True
        return None

    def enter(self, config: TrialConfig, source: str) -> LiveTrial:
        """A trial that nobody proposed, `config` being all there is to say of it."""
        name = _name(config, self.asked)
        return self._accept(self._told.enter(name, config, source), config, source)

    def _take_up(self, waiting: FrozenTrial, given: Mapping[str, Any]) -> LiveTrial:
        """Begin a trial that another program enqueued; raises a UserMistake that says why it can't be."""
        number, what = self.asked, f"enqueued trial {waiting.number} of study.journal"
        if self._proposals.space.grid:
            raise InvalidValue(f"{what}: {self._proposals.space.name} is a fixed list of configurations")
        asked = self._told.ask(self._proposer.completed(number, given))
        checked = CheckedTrial(asked, given, what)
        try:
            config = self._configure(checked, number)  # type: ignore[arg-type]
            checked.check_all_asked()
            if _signature(config) in self._seen:
                raise InvalidValue(f"{what}: this configuration has been tried already")
            identity = self._told.take_up(waiting, asked, number, _name(config, number), config, ENQUEUED)
        except UserMistake:
            self._told.drop(asked)
            raise
        return self._accept(identity, config, ENQUEUED)

    def _configure(self, asked: optuna.Trial, number: int) -> TrialConfig:
        seed = int(np.random.SeedSequence([self._proposals.seed, 1, number]).generate_state(1)[0])
        overrides = {**self._proposals.overrides, "seed": seed}
        return search_spaces.configure(self._proposals.space, asked, overrides, self._proposals.allowed)

    def _accept(self, identity: int, config: TrialConfig, source: str) -> LiveTrial:
        """The trial that the journal has just got."""
        number = self.asked
        self.know(config, source)
        self.asked += 1
        return LiveTrial(_name(config, number), number, identity, config, source=source)


def _name(config: TrialConfig, number: int) -> str:
    """A trial's id, which ends with its number."""
    return f"{config.model.replace(':', '_').replace('/', '_')}-{config.strategy}-{number:05d}"


def _signature(config: TrialConfig) -> tuple[Any, ...]:
    """What makes two configurations the same, whatever their seeds."""
    return tuple(value for name, value in asdict(config).items() if name != "seed")
