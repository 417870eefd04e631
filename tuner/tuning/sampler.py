"""Optuna's proposals: the samplers by name, and the copy of the study in memory that they look at.

The copy costs no disk access, and a proposal that repeats an earlier configuration can be dropped from it before
anyone sees it.
"""

import heapq
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from trainables.errors import InvalidValue
from tuner.runs.journal import quiet_optuna
from tuner.runs.optuna_private import PartialStudy, trials_seen

SAMPLERS = ("tpe", "random", "gp", "cmaes", "auto")


STARTUP_TRIALS = 10
"""Trials proposed at random before a model-based sampler takes over, Optuna's default."""


HISTORY = 200
"""Ended trials that TPE looks at, since its cost is in proportion."""


BEST_SEEN = 20
"""How many of so many TPE models as good ones: a tenth, optuna.samplers._tpe.sampler.default_gamma."""


_GOLDEN = 0.6180339887498949


def make_sampler(name: str, seed: int, number: int, fixed: Mapping[str, Any] | None = None) -> BaseSampler:
    """A fresh sampler for trial `number`, a function of (seed, number), so that a resumed run proposes alike.

    `fixed` parameters keep their value wherever the space asks for them. Raises InvalidValue for an
    unknown name or a sampler whose package is missing.
    """
    state = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        base = _sampler(name, state)
        return PartialFixedSampler(dict(fixed), base) if fixed else base


def _sampler(name: str, seed: int) -> BaseSampler:
    if name == "tpe":
        return ShortlistTPE(
            seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True, group=True, constant_liar=True
        )
    if name == "random":
        return RandomSampler(seed=seed)
    try:
        if name == "gp":
            return GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        if name == "cmaes":
            import cmaes  # type: ignore[import-untyped, unused-ignore]  # noqa: F401

            return CmaEsSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False)
        if name == "auto":
            import optunahub

            auto: BaseSampler = optunahub.load_module("samplers/auto_sampler").AutoSampler(seed=seed)
            return auto
    except ImportError as error:
        raise InvalidValue(
            f"--sampler {name} needs the package {error.name}: pip install {error.name}"
        ) from error
    raise InvalidValue(f"--sampler {name!r} is none of {', '.join(SAMPLERS)}")


class Shortlist(PartialStudy):
    """A study that shows all running trials, but of the ended ones at most `HISTORY` once told to `choose`.

    TPE models the best trials against all others: the best are all shown, the others are represented by a fair
    sample. `origin` maps a trial's number to its number in the run, from which the sample follows.
    """

    def __init__(self, study_name: str, storage: BaseStorage) -> None:
        super().__init__(study_name, storage)
        self.origin: dict[int, int] = {}

    def choose(self) -> None:
        """Show a choice of what there is now."""
        self.show_all()
        trials = trials_seen(self)
        ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        if len(ended) <= HISTORY:
            return
        sign = 1.0 if self.direction is StudyDirection.MINIMIZE else -1.0
        best = {trial.number for trial in heapq.nsmallest(BEST_SEEN, ended, key=lambda t: _rank(t, sign))}
        others = [trial.number for trial in ended if trial.number not in best]
        # Multiples of the golden ratio spread evenly: of any stretch of the history an equal share is taken.
        share = heapq.nsmallest(
            HISTORY - BEST_SEEN, others, key=lambda number: self.origin[number] * _GOLDEN % 1.0
        )
        chosen = best.union(share)
        self.visible = [t for t in trials if t.number in chosen or t.state is TrialState.RUNNING]

    def show_all(self) -> None:
        """Show every trial again."""
        self.visible = None


class ShortlistTPE(TPESampler):
    """TPE that looks at a `Shortlist` when it is given one."""

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters to sample jointly; called by Optuna before it samples anything of `trial`."""
        if isinstance(study, Shortlist):
            study.choose()
        return super().infer_relative_search_space(study, trial)


def _rank(trial: FrozenTrial, sign: float) -> tuple[int, int, float]:
    """TPE's order: complete ones by value, then pruned ones, those that reached the highest rung first."""
    if trial.state is TrialState.COMPLETE:
        return (0, 0, sign * (trial.value or 0.0))
    step = max(trial.intermediate_values.keys(), default=-1)
    return (1, -step, sign * trial.intermediate_values.get(step, 0.0))


class InMemoryStudy:
    """A copy of the study in memory, on which proposals are made.

    `trials` are those that it shows, by the run's own number of them; by default all of the study's.
    """

    def __init__(self, study: optuna.Study, trials: Mapping[int, FrozenTrial] | None = None) -> None:
        self._memory = InMemoryStorage()
        with quiet_optuna():
            empty = optuna.create_study(storage=self._memory, direction=study.direction)
        self._study = Shortlist(empty.study_name, self._memory)
        self._identity = self._memory.get_study_id_from_name(empty.study_name)
        self._trials: dict[int, int] = {}
        if trials is None:
            trials = dict(enumerate(study.get_trials(deepcopy=False)))
        for number, trial in trials.items():
            self._study.add_trial(trial)
            self._trials[number] = len(self._trials)
            self._study.origin[self._trials[number]] = number

    def ask(self, sampler: BaseSampler) -> optuna.Trial:
        """A trial whose parameters `sampler` proposes."""
        self._study.sampler = sampler
        self._study.show_all()
        return self._study.ask()

    def drop(self, trial: optuna.Trial) -> None:
        """Forget a proposal that nobody is going to try."""
        self._study.tell(trial.number, state=TrialState.FAIL)

    def accept(self, trial: optuna.Trial, number: int) -> None:
        """Note that `trial` is number `number` of the study."""
        self._trials[number] = trial.number
        self._study.origin[trial.number] = number

    def report(self, number: int, step: int, value: float) -> None:
        """An intermediate value of trial `number`; nothing where the copy does not show it."""
        if number not in self._trials:
            return
        trial = self._memory.get_trial_id_from_study_id_trial_number(self._identity, self._trials[number])
        self._memory.set_trial_intermediate_value(trial, step, value)

    def tell(self, number: int, state: TrialState, value: float | None) -> None:
        """The end of trial `number`; nothing where the copy does not show it."""
        if number in self._trials:
            told = value if state is TrialState.COMPLETE else None
            self._study.tell(self._trials[number], told, state=state)
