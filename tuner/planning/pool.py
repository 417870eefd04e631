"""The configurations that simulated searches try, each kind drawn once for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import search_spaces
from search_spaces._checking import random_study
from search_spaces.sampling import sample_configs
from trainables.config import TrialConfig
from tuner.tuning.config import SpaceSettings
from tuner.tuning.prior import FIRST, PRIOR, PriorSampler, source_of

__all__ = ["Pool", "make_pool"]

RANDOM = 600
"""Configurations from which the simulations take theirs, besides the space's first trials."""

EXPECTED = 200
"""Those that the space's prior proposes."""


@dataclass(frozen=True)
class Pool:
    """The space's first trials, random configurations, and what its prior proposes, empty without one."""

    first: Sequence[TrialConfig]
    random: Sequence[TrialConfig]
    expected: Sequence[TrialConfig] = ()

    @property
    def configs(self) -> list[TrialConfig]:
        """All of them."""
        return [*self.first, *self.random, *self.expected]

    def order(self, samples: int, random: np.random.Generator) -> list[TrialConfig]:
        """What a search of `samples` trials tries: the first ones as they are, others from the prior or at random.

        The prior has the share that it has in a search; chance stands for the sampler.
        """
        left = {PRIOR: _shuffled(self.expected, random), "chance": _shuffled(self.random, random)}
        found = []
        for number in range(samples):
            source = source_of(number, "chance", first=len(self.first), prior=bool(self.expected))
            if source == FIRST:
                found.append(self.first[number])
            elif left[source]:
                found.append(left[source].pop())
        return found


def make_pool(settings: SpaceSettings, *, prior: bool) -> Pool:
    """The pool of a run's space; of a grid its list."""
    space, overrides, allowed = settings.space, settings.overrides, settings.allowed
    number = max(RANDOM, settings.samples)
    drawn = list(sample_configs(space, overrides, allowed, number))
    first = len(search_spaces.first_trials(space, settings.max_epochs, allowed))
    priors = search_spaces.prior_of(space, settings.max_epochs) if prior and not space.grid else {}
    return Pool(drawn[:first], drawn[first:], _proposed(settings, priors) if priors else ())


def _proposed(settings: SpaceSettings, priors: search_spaces.Priors) -> list[TrialConfig]:
    """What the prior proposes, always the same."""
    study, found = random_study(), []
    for number in range(EXPECTED):
        study.sampler = PriorSampler(priors, 0, number)
        found.append(
            search_spaces.configure(settings.space, study.ask(), settings.overrides, settings.allowed)
        )
    return found


def _shuffled(configs: Sequence[TrialConfig], random: np.random.Generator) -> list[TrialConfig]:
    return [configs[place] for place in random.permutation(len(configs))]
