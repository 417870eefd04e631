"""Optuna's proposals: the samplers by name, and the copy of the study in memory that they look at.

The copy costs no disk access, and a proposal that repeats an earlier configuration can be dropped from it before
anyone sees it.
"""

import bisect
import itertools
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
    sample. Ended trials are kept in order as they end, so that a choice takes no more time the more there are.
    """

    def __init__(self, study_name: str, storage: BaseStorage) -> None:
        super().__init__(study_name, storage)
        self._ranked: list[tuple[tuple[int, int, float], int]] = []
        self._spread: list[tuple[float, int]] = []
        self._running: set[int] = set()

    def began(self, number: int) -> None:
        """Show trial `number` of this study as one that runs."""
        self._running.add(number)

    def gone(self, number: int) -> None:
        """Trial `number` of this study runs no more; of failed ones nothing is shown."""
        self._running.discard(number)

    def ended(self, trial: FrozenTrial, origin: int) -> None:
        """Take in a trial that has ended, which is number `origin` of the run."""
        self.gone(trial.number)
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
            return
        sign = 1.0 if self.direction is StudyDirection.MINIMIZE else -1.0
        bisect.insort(self._ranked, (_rank(trial, sign), trial.number))
        # Multiples of the golden ratio spread evenly: of any stretch of the history an equal share is taken.
        bisect.insort(self._spread, (origin * _GOLDEN % 1.0, trial.number))

    def choose(self) -> None:
        """Show a choice of what there is now."""
        self.show_all()
        if len(self._ranked) <= HISTORY:
            return
        best = {number for _, number in self._ranked[:BEST_SEEN]}
        others = (number for _, number in self._spread if number not in best)
        chosen = best.union(itertools.islice(others, HISTORY - BEST_SEEN))
        trials = trials_seen(self)
        self.visible = [trials[number] for number in sorted(chosen | self._running)]

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
            self._take_in(number)

    def ask(self, sampler: BaseSampler) -> optuna.Trial:
        """A trial whose parameters `sampler` proposes."""
        self._study.sampler = sampler
        self._study.show_all()
        asked = self._study.ask()
        self._study.began(asked.number)
        return asked

    def drop(self, trial: optuna.Trial) -> None:
        """Forget a proposal that nobody is going to try."""
        self._study.tell(trial.number, state=TrialState.FAIL)
        self._study.gone(trial.number)

    def accept(self, trial: optuna.Trial, number: int) -> None:
        """Note that `trial` is number `number` of the study."""
        self._trials[number] = trial.number

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
            self._take_in(number)

    def _take_in(self, number: int) -> None:
        """Let the shortlist take in trial `number` of the study, which has ended or is running."""
        own = self._memory.get_trial_id_from_study_id_trial_number(self._identity, self._trials[number])
        trial = self._memory.get_trial(own)
        if trial.state is TrialState.RUNNING:
            self._study.began(trial.number)
        else:
            self._study.ended(trial, number)
