"""Where a run's configurations come from, one after another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import search_spaces
from search_spaces import Space
from tuner.tuning.prior import EARLIER, FIRST, PRIOR, PriorSampler, source_of
from tuner.tuning.sampler import make_sampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["REDRAWS", "Proposals", "Proposer"]

REDRAWS = 30
"""How often a proposal that repeats an earlier configuration is drawn again before the space counts as exhausted."""

PRIOR_DRAWS = 10
"""How many of these draws the prior has: it may leave out choices, and then runs dry before the space does."""

DRAW_STRIDE = 7919
"""Between the seeds of two draws of one proposal."""


@dataclass(frozen=True)
class Proposals:
    """Where configurations come from: the space, what the command fixed or restricted, the sampler, its seed.

    `prior`: whether the space's own prior has its share. `earlier` are parameters of earlier runs, tried first.
    """

    space: Space
    overrides: Mapping[str, Any]
    allowed: Mapping[str, tuple[str, ...]]
    sampler: str
    seed: int
    prior: bool = False
    earlier: tuple[Mapping[str, Any], ...] = ()

    def first_trials(self) -> tuple[Mapping[str, Any], ...]:
        """The space's first trials that the restrictions let through, in order."""
        return search_spaces.first_trials(self.space, int(self.overrides["max_epochs"]), self.allowed)


class Proposer:
    """The sampler of each proposal, a function of the run's seed and the proposal's number."""

    def __init__(self, proposals: Proposals) -> None:
        self._proposals = proposals
        first = proposals.first_trials()
        self._given = (*proposals.earlier, *first)
        self._counts = {"earlier": len(proposals.earlier), "first": len(first)}
        wanted = proposals.prior and not proposals.space.grid
        max_epochs = int(proposals.overrides["max_epochs"])
        self._priors = search_spaces.prior_of(proposals.space, max_epochs) if wanted else {}

    def sampler(self, number: int, draw: int = 0) -> "tuple[BaseSampler, str]":
        """What proposes trial `number`, and how the run's tables call that; each `draw` is another proposal.

        A given configuration that repeats an earlier one is no reason to try it twice: the sampler takes its place.
        """
        name, seed = self._proposals.sampler, self._proposals.seed + draw * DRAW_STRIDE
        source = source_of(number, name, **self._counts, prior=bool(self._priors))
        if source in (EARLIER, FIRST) and draw == 0:
            return make_sampler(name, seed, number, self._given[number]), source
        if source == PRIOR and draw < PRIOR_DRAWS:
            return PriorSampler(self._priors, seed, number), source
        return make_sampler(name, seed, number), name

    def completed(self, number: int, given: Mapping[str, Any]) -> "BaseSampler":
        """What proposes trial `number` with the parameters `given` by another program, and the others as usual."""
        seed = self._proposals.seed + REDRAWS * DRAW_STRIDE
        return make_sampler(self._proposals.sampler, seed, number, given)
