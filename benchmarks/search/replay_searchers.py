"""The searchers of `replay_clock`: tuner's own classes and its peers.

Ray's scheduler and searcher are Ray's own objects, called as Ray calls them, without a cluster.
"""

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

import search_spaces
from benchmarks.search.replay_clock import OVERRIDES, Problem
from search_spaces.common import usual_grace
from trainables import epoch_cost
from trainables.config import TrialConfig
from tuner.tuning.config import SearchConfig
from tuner.tuning.prior import PriorSampler
from tuner.tuning.proposals import Proposals, Proposer
from tuner.tuning.rungs import ROUNDING
from tuner.tuning.sampler import InMemoryStudy
from tuner.tuning.scheduler import Rungs

METRIC = "val_loss"

Parameters = Mapping[str, Any]


class Tuner:
    """The rungs, proposals and mirror of tuner, put together as `tuner.tuning` does.

    `first` are parameters of the first trials; None are those of the space. `rungs` and `tell` replace tuner's own for
    a comparison of designs (`tell` "epochs": the step of a value is its epoch, not its rung), `clock` "epoch" counts an
    epoch as one whatever it costs, and `prior_share` (proposals, every so many-th) replaces the prior's share.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        first: Sequence[Parameters] | None = None,
        sampler: str = "tpe",
        prior: bool = True,
        prior_share: tuple[int, int] | None = None,
        rungs: Any = None,
        clock: str = "cost",
        tell: str = "mirror",
        grace_period: int = usual_grace(OVERRIDES["max_epochs"]),
        reduction_factor: float = SearchConfig.reduction_factor,
    ) -> None:
        self.problem, self.seed, self.told, self.clock = problem, seed, tell, clock
        space = (
            problem.space if first is None else replace(problem.space, propose=lambda max_epochs, models: ())
        )
        proposals = Proposals(
            space, OVERRIDES, problem.allowed, sampler, seed, prior=prior, earlier=tuple(first or ())
        )
        self.proposer = Proposer(proposals)
        self.share, self.given = prior_share, len(first or ())
        self.priors = search_spaces.prior_of(space, OVERRIDES["max_epochs"])
        self.rungs = rungs or Rungs("min", OVERRIDES["max_epochs"], grace_period, reduction_factor)
        self.mirror = InMemoryStudy(optuna.create_study(direction="minimize"))
        self.configs: dict[int, TrialConfig] = {}
        self.best: dict[int, float] = {}
        self.paths: dict[int, list[tuple[float, float]]] = {}
        self.whole: list[list[tuple[float, float]]] = []

    def start(self, number: int) -> TrialConfig:
        """The proposal on the mirror."""
        asked = self.mirror.ask(self._sampler(number))
        config = self.configs[number] = self.problem.configure(asked)
        self.mirror.accept(asked, number)
        return config

    def _sampler(self, number: int) -> Any:
        place = number - self.given
        if self.share is not None and place >= 0:
            count, every = self.share
            if place < count and place % every == every - 1:
                return PriorSampler(self.priors, self.seed, number)
        return self.proposer.sampler(number)[0]

    def report(self, number: int, epoch: int, full_epochs: int, value: float) -> bool:
        """The rungs' verdict."""
        self.best[number] = min(value, self.best.get(number, math.inf))
        self.paths.setdefault(number, []).append(
            (epoch_cost.spent(self.configs[number], epoch), self.best[number])
        )
        config, by_cost = self.configs[number], self.clock == "cost"
        before, spent = (
            epoch_cost.spent(config, e) if by_cost and e else float(e) for e in (epoch - 1, epoch)
        )
        self._tell_step(number, epoch, value, self._rung(before, spent, full_epochs))
        return self.rungs.enter(str(number), epoch, full_epochs, value, spent) is not None

    def _rung(self, before: float, spent: float, full_epochs: int) -> int | None:
        """The rung that is reached, None where there are no rungs of tuner's."""
        ladder = getattr(self.rungs, "ladder", None)
        return None if ladder is None else ladder.reached(before, spent, full_epochs)

    def _tell_step(self, number: int, epoch: int, value: float, rung: int | None) -> None:
        if self.told == "epochs" or not hasattr(self.rungs, "ladder"):
            self.mirror.report(number, epoch, value)
        elif rung is not None:
            self.mirror.report(number, rung, self.best[number])

    def end(self, number: int, last: float, stopped: bool) -> None:
        """What the store tells, or the design under comparison."""
        state = TrialState.PRUNED if stopped else TrialState.COMPLETE
        if stopped and self.told == "complete":
            state = TrialState.COMPLETE
        if stopped and self.told == "nothing":
            state = TrialState.FAIL
        if not stopped and self.paths[number][-1][0] >= 1:
            self.whole.append(self.paths[number])
        if stopped and self.told == "forecast":
            state = TrialState.COMPLETE
            self.best[number] *= self._gain_after(self.paths[number][-1][0])
        if self.told == "last":
            state, self.best[number] = TrialState.COMPLETE, last
        self.mirror.tell(number, state, self.best[number])

    def _gain_after(self, spent: float) -> float:
        """By how much whole trials that trained the network fell after they had `spent` as much; the median."""
        gains = [
            path[-1][1] / next((value for cost, value in path if cost >= spent - ROUNDING), path[-1][1])
            for path in self.whole
        ]
        return float(np.median(gains)) if gains else 1.0


class Ray:
    """Ray's ASHAScheduler with Ray's OptunaSearch, or with random proposals."""

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        searcher: str = "optuna",
        first: Sequence[Parameters] = (),
        grace_period: int = 1,
        reduction_factor: float = 2.0,
    ) -> None:
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        max_epochs = OVERRIDES["max_epochs"]
        self.scheduler = ASHAScheduler(
            time_attr="training_iteration",
            metric=METRIC,
            mode="min",
            max_t=max_epochs,
            grace_period=grace_period,
            reduction_factor=reduction_factor,
        )
        self.problem = problem
        # Random proposals go through the same object, so that nothing else differs.
        random = optuna.samplers.RandomSampler(seed=seed) if searcher == "random" else None
        how: dict[str, Any] = {"sampler": random} if random else {"seed": seed}
        first = [dict(parameters) for parameters in first]
        self.search = OptunaSearch(
            self._define, metric=METRIC, mode="min", points_to_evaluate=first or None, **how
        )
        self.trials: dict[int, Any] = {}

    def _define(self, trial: Any) -> dict[str, Any]:
        return {"config": asdict(self.problem.configure(trial))}

    def start(self, number: int) -> TrialConfig:
        """OptunaSearch's proposal."""
        suggested = self.search.suggest(str(number)) or {}
        self.trials[number] = SimpleNamespace(trial_id=str(number))
        self.scheduler.on_trial_add(None, self.trials[number])
        return TrialConfig(**suggested["config"])

    def report(self, number: int, epoch: int, full_epochs: int, value: float) -> bool:
        """ASHAScheduler's verdict; as Ray does, the searcher hears of an epoch that ends its trial at the end only."""
        result = {"training_iteration": epoch, METRIC: value}
        stop = self.scheduler.on_trial_result(None, self.trials[number], result) == "STOP"
        if not stop and epoch < OVERRIDES["max_epochs"]:
            self.search.on_trial_result(str(number), result)
        return stop

    def end(self, number: int, last: float, stopped: bool) -> None:
        """The last value, as Ray tells it."""
        self.search.on_trial_complete(str(number), {METRIC: last, "training_iteration": 1})


class PlainOptuna:
    """Optuna's TPE with one of its pruners, both with their defaults, or random proposals without stopping."""

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        sampler: str = "tpe",
        pruner: str = "SuccessiveHalvingPruner",
        first: Sequence[Parameters] = (),
    ) -> None:
        self.problem = problem
        chosen: optuna.samplers.BaseSampler
        chosen = (
            optuna.samplers.TPESampler(seed=seed) if sampler == "tpe" else optuna.samplers.RandomSampler(seed)
        )
        stopping = getattr(optuna.pruners, pruner)() if sampler == "tpe" else optuna.pruners.NopPruner()
        self.study = optuna.create_study(sampler=chosen, pruner=stopping)
        for parameters in first:
            self.study.enqueue_trial(dict(parameters))
        self.trials: dict[int, optuna.Trial] = {}

    def start(self, number: int) -> TrialConfig:
        """The study's proposal."""
        self.trials[number] = self.study.ask()
        return self.problem.configure(self.trials[number])

    def report(self, number: int, epoch: int, full_epochs: int, value: float) -> bool:
        """The pruner's verdict."""
        self.trials[number].report(value, epoch)
        return self.trials[number].should_prune()

    def end(self, number: int, last: float, stopped: bool) -> None:
        """PRUNED, or COMPLETE with the last value, as an objective function of Optuna's examples returns it."""
        state = TrialState.PRUNED if stopped else TrialState.COMPLETE
        self.study.tell(self.trials[number], None if stopped else last, state=state)


def quiet() -> None:
    """Silence what the libraries say about themselves, and about a space that takes a moment on a busy machine."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", message="Define-by-run function passed")
