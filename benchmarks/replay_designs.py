"""The searches that `search_quality` compares: tuner and its peers, and the choices inside tuner."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from replay_searchers import OVERRIDES, PlainOptuna, Ray, Searcher, Tuner

import search_spaces
from search_spaces import Space
from tuner.tuning.sampler import STARTUP_TRIALS

Make = Callable[[Space, int], Searcher]


class VariantRungs:
    """Rungs as tuner has them, or as it might have them.

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

    def enter(self, trial_id: str, epoch: int, full_epochs: int, value: float) -> float | None:
        """The cutoff that the trial fails, or None."""
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


def study_trials(space: Space) -> tuple[dict[str, Any], ...]:
    """The space's first trials."""
    return search_spaces.first_trials(space, OVERRIDES["max_epochs"], {})


def random_trials(space: Space, seed: int) -> list[dict[str, Any]]:
    """As many random trials as samplers draw before they take over, the same for every search of a seed."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=10_000 + seed))
    drawn = [study.ask() for _ in range(STARTUP_TRIALS)]
    for trial in drawn:
        search_spaces.configure(space, trial, OVERRIDES, {})
    return [dict(trial.params) for trial in drawn]


def _level(make: Callable[..., Searcher], **how: Any) -> Make:
    """A search that begins with `random_trials`."""
    return lambda space, seed: make(space, seed, first=random_trials(space, seed), **how)


def _rungs(**changes: Any) -> Make:
    return lambda space, seed: Tuner(
        space, seed, first=random_trials(space, seed), rungs=VariantRungs(**changes)
    )


SHIPPED: Mapping[str, Make] = {
    "tuner": lambda space, seed: Tuner(space, seed, first=study_trials(space)),
    "Ray ASHA + OptunaSearch": Ray,
    "Ray ASHA + random": lambda space, seed: Ray(space, seed, searcher="random"),
    "Optuna TPE + SuccessiveHalvingPruner": PlainOptuna,
    "random, nobody stopped": lambda space, seed: PlainOptuna(space, seed, sampler="random"),
}
"""Each as it comes: tuner with the first trials of the space, the others as their documentation shows them."""

LEVEL: Mapping[str, Make] = {
    "tuner, level": _level(Tuner),
    "Ray ASHA + OptunaSearch, level": _level(Ray),
    "the same with tuner's grace and factor, level": _level(Ray, grace_period=2, reduction_factor=3),
    "Ray ASHA + random, level": _level(Ray, searcher="random"),
    "Optuna TPE + SuccessiveHalvingPruner, level": _level(PlainOptuna),
    "random, nobody stopped, level": _level(PlainOptuna, sampler="random"),
}
"""The same without anybody's prior knowledge: all begin with the same random trials."""

DESIGNS: Mapping[str, Make] = {
    "stopped told as COMPLETE, best so far": _level(Tuner, tell="complete"),
    "stopped told as COMPLETE, last value": _level(Tuner, tell="last"),
    "stopped not told": _level(Tuner, tell="nothing"),
    "rungs from the unfreeze": _rungs(clock="unfreeze"),
    "rungs judge the frozen too": _rungs(unfair=True),
    "a missed rung judged later": _rungs(missed=True),
    "rungs score the current value": _rungs(score="current"),
    "rungs wait for 3 scores": _rungs(minimum=3),
    "rungs wait for 5 scores": _rungs(minimum=5),
    "grace 1": _rungs(grace_period=1),
    "grace 3": _rungs(grace_period=3),
    "factor 2": _rungs(reduction_factor=2),
    "factor 4": _rungs(reduction_factor=4),
    "factor 2, a missed rung judged later": _rungs(reduction_factor=2, missed=True),
    "random proposals": _level(Tuner, sampler="random"),
    "nobody stopped": _rungs(minimum=10_000),
}
"""Choices inside tuner, each changed alone, level."""
