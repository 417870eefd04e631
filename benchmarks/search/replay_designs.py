"""The searches that `search_quality` compares: tuner and its peers, and the choices inside tuner."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna

from benchmarks.search.replay_clock import OVERRIDES, Problem, Searcher
from benchmarks.search.replay_searchers import PlainOptuna, Ray, Tuner
from search_spaces import portfolio
from tuner.tuning.sampler import STARTUP_TRIALS

Make = Callable[[Problem, int], Searcher]

TUNER = "tuner"
RANDOM_ASHA = "Ray ASHA + random"
OPTUNA_ASHA = "Ray ASHA + OptunaSearch"


class VariantRungs:
    """Rungs counted in epochs, as tuner had them or might have had them.

    `clock`: "epoch", or "unfreeze" to count rungs from the last unfreeze. `score`: the "best" value so far or the
    "current" one. `minimum`: scores that a rung needs before it judges. `unfair`: judges and scores frozen trials
    too. `missed`: a trial that could not be judged at a rung is judged by that rung's scores as soon as it can be,
    and leaves none.
    """

    def __init__(
        self,
        *,
        grace_period: int = 2,
        reduction_factor: float = 3.0,
        max_epochs: int = 10,
        clock: str = "epoch",
        score: str = "best",
        minimum: int = 1,
        unfair: bool = False,
        missed: bool = False,
    ) -> None:
        self.grace_period, self.reduction_factor = grace_period, reduction_factor
        self.clock, self.score, self.minimum, self.unfair, self.missed = clock, score, minimum, unfair, missed
        rung, self.scores = grace_period, dict[int, dict[str, float]]()
        while round(rung) < max_epochs:
            self.scores[round(rung)] = {}
            rung *= reduction_factor
        self.best: dict[str, float] = {}
        self.caught_up: set[str] = set()

    def enter(
        self, trial_id: str, epoch: int, full_epochs: int, value: float, spent: float | None = None
    ) -> float | None:
        """The cutoff that the trial fails, or None; what it has `spent` does not matter here."""
        best = self.best[trial_id] = min(value, self.best.get(trial_id, math.inf))
        score = best if self.score == "best" else value
        at = full_epochs if self.clock == "unfreeze" else epoch
        if full_epochs < self.grace_period and not self.unfair:
            return None
        first = trial_id not in self.caught_up
        self.caught_up.add(trial_id)
        if at in self.scores:
            earlier = list(self.scores[at].values())
            self.scores[at][trial_id] = score
        elif self.missed and first and at > self.grace_period:
            earlier = list(self.scores[max(rung for rung in self.scores if rung <= at)].values())
        else:
            return None
        if len(earlier) < self.minimum:
            return None
        cutoff = float(np.quantile(earlier, 1 / self.reduction_factor))
        return cutoff if score > cutoff else None


def random_trials(problem: Problem, seed: int) -> list[dict[str, Any]]:
    """As many random trials as samplers draw before they take over, the same for every search of a seed."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=10_000 + seed))
    drawn = [study.ask() for _ in range(STARTUP_TRIALS)]
    for trial in drawn:
        problem.configure(trial)
    return [dict(trial.params) for trial in drawn]


def _level(make: Callable[..., Searcher], **how: Any) -> Make:
    """A search that begins with `random_trials`."""
    return lambda problem, seed: make(problem, seed, first=random_trials(problem, seed), **how)


def _rungs(**changes: Any) -> Make:
    return lambda problem, seed: Tuner(
        problem, seed, first=random_trials(problem, seed), rungs=VariantRungs(**changes)
    )


def _shipped(problem: Problem, seed: int) -> Searcher:
    """Tuner as it comes: the portfolio first, as in its spaces, without what only repeats the study."""
    [model] = problem.allowed["model"]
    first = portfolio.first_trials(model, OVERRIDES["max_epochs"], strategy=f"strategy@{model}")
    return Tuner(problem, seed, first=first)


SHIPPED: Mapping[str, Make] = {
    TUNER: _shipped,
    OPTUNA_ASHA: Ray,
    RANDOM_ASHA: lambda problem, seed: Ray(problem, seed, searcher="random"),
    "Optuna TPE + HyperbandPruner": lambda problem, seed: PlainOptuna(
        problem, seed, pruner="HyperbandPruner"
    ),
    "Optuna TPE + SuccessiveHalvingPruner": PlainOptuna,
    "random, nobody stopped": lambda problem, seed: PlainOptuna(problem, seed, sampler="random"),
}
"""Each as it comes: tuner with the portfolio of its spaces, the others as their documentation shows them."""

LEVEL: Mapping[str, Make] = {
    f"{TUNER}, level": _level(Tuner),
    f"{OPTUNA_ASHA}, level": _level(Ray),
    f"{RANDOM_ASHA}, level": _level(Ray, searcher="random"),
    f"{OPTUNA_ASHA} with tuner's grace and factor, level": _level(Ray, grace_period=3, reduction_factor=2),
    "Optuna TPE + HyperbandPruner, level": _level(PlainOptuna, pruner="HyperbandPruner"),
    "Optuna TPE + SuccessiveHalvingPruner, level": _level(PlainOptuna),
    "random, nobody stopped, level": _level(PlainOptuna, sampler="random"),
}
"""The same without first trials of their own: all begin with the same random ones."""

DESIGNS: Mapping[str, Make] = {
    "no prior": _level(Tuner, prior=False),
    "no prior, rungs by epoch": _level(Tuner, prior=False, clock="epoch"),
    "rungs by epoch": _level(Tuner, clock="epoch"),
    "factor 1.5": _level(Tuner, reduction_factor=1.5),
    "factor 3": _level(Tuner, reduction_factor=3),
    "grace 1": _level(Tuner, grace_period=1),
    "grace 1, factor 3": _level(Tuner, grace_period=1, reduction_factor=3),
    "grace 2": _level(Tuner, grace_period=2),
    "grace 4": _level(Tuner, grace_period=4),
    "prior half of forty": _level(Tuner, prior_share=(40, 2)),
    "prior half of all": _level(Tuner, prior_share=(10_000, 2)),
    "prior half of all, the rest random": _level(Tuner, prior_share=(10_000, 2), sampler="random"),
    "prior half of twenty, the rest random": _level(Tuner, sampler="random"),
    "stopped told by epochs": _level(Tuner, tell="epochs"),
    "stopped told by value": _level(Tuner, tell="complete"),
    "stopped told by forecast": _level(Tuner, tell="forecast"),
    "nobody stopped": _rungs(minimum=10_000),
}
"""Choices inside tuner, each changed alone, level."""

OLDER: Mapping[str, Make] = {
    "rungs from the unfreeze": _rungs(clock="unfreeze"),
    "rungs by epoch judge the frozen too": _rungs(unfair=True),
    "a missed rung judged later": _rungs(missed=True),
    "rungs by epoch score the current value": _rungs(score="current"),
    "rungs by epoch wait for 3 scores": _rungs(minimum=3),
    "stopped told as COMPLETE, last value": _level(Tuner, tell="last"),
    "stopped not told": _level(Tuner, tell="nothing"),
}
"""Choices that were made before rungs counted cost, changed alone, level."""
