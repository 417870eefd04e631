"""The searches that `search_quality` compares: tuner and its peers, and the choices inside tuner."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.replay_searchers import PlainOptuna, Ray, Searcher, Tuner
from search_spaces import Space

Make = Callable[[Space, int], Searcher]


class VariantRungs:
    """Rungs as tuner has them, or as it might have them.

    `clock`: "epoch", or "thaw" to count rungs from the last thaw. `score`: the "best" value so far or the
    "current" one. `minimum`: scores that a rung needs before it judges. `unfair`: judges and scores frozen trials too. `missed`: a
    trial that could not be judged at a rung is judged by that rung's scores as soon as it can be, and leaves none.
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
        at = full_epochs if self.clock == "thaw" else epoch
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


def _tuner(**changes: Any) -> Make:
    return lambda space, seed: Tuner(space, seed, **changes)


def _rungs(**changes: Any) -> Make:
    return lambda space, seed: Tuner(space, seed, rungs=VariantRungs(**changes))


PEERS: Mapping[str, Make] = {
    "tuner": lambda space, seed: Tuner(space, seed),
    "Ray ASHA + OptunaSearch": lambda space, seed: Ray(space, seed),
    "Ray ASHA + random": lambda space, seed: Ray(space, seed, searcher="random"),
    "Optuna TPE + SuccessiveHalvingPruner": lambda space, seed: PlainOptuna(space, seed),
    "random, nobody stopped": lambda space, seed: PlainOptuna(space, seed, sampler="random"),
}

DESIGNS: Mapping[str, Make] = {
    "stopped told as PRUNED": _tuner(tell="pruned"),
    "stopped told as COMPLETE, best so far": _tuner(tell="complete"),
    "stopped told as COMPLETE, last value": _tuner(tell="last"),
    "stopped not told": _tuner(tell="nothing"),
    "rungs from the thaw": _rungs(clock="thaw"),
    "frozen judged too (unfair)": _rungs(unfair=True),
    "frozen judged too, current score": _rungs(unfair=True, score="current"),
    "missed rung judged later": _rungs(missed=True),
    "rungs score the current value": _rungs(score="current"),
    "rungs wait for 3 scores": _rungs(minimum=3),
    "rungs wait for 5 scores": _rungs(minimum=5),
    "grace 1": _rungs(grace_period=1),
    "grace 3": _rungs(grace_period=3),
    "factor 2": _rungs(reduction_factor=2),
    "factor 4": _rungs(reduction_factor=4),
    "random proposals": _tuner(sampler="random"),
    "first trials first": _tuner(first=True),
}
