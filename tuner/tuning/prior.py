"""Proposals from what a space expects to do well, and how many of them there are.

The first model of a sampler rests on few trials, so a prior has its share until there are more; never more than half,
since a prior may be wrong. `benchmarks/search/search_quality.py --designs` measures what it gains on recorded curves.
"""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search_spaces.priors import Priors, entry_of, normal_of, weights_of

__all__ = [
    "EARLIER",
    "ENQUEUED",
    "FIRST",
    "PRIOR",
    "PRIOR_EVERY",
    "PRIOR_PROPOSALS",
    "PROBE",
    "PriorSampler",
    "source_of",
]

EARLIER = "earlier run"
FIRST = "first"
ENQUEUED = "enqueued"
PRIOR = "prior"
PROBE = "probe"
"""The backbone and the head that the probe found best: nobody proposed it, and it takes no sample's place."""

PRIOR_PROPOSALS = 20
"""Proposals after the first trials among which the prior has its share: by then a model has trials to learn from, and
a misplaced prior is to cost no more."""

PRIOR_EVERY = 2
"""Every second one of these comes from the prior, the first of them from the sampler: at no moment more than half."""

EDGE = 1e-12
"""Probabilities nearer to 0 and 1 than this have no quantile worth the name."""


def source_of(number: int, sampler: str, *, earlier: int = 0, first: int = 0, prior: bool = False) -> str:
    """Where proposal `number`, from 0, comes from: EARLIER, FIRST, PRIOR or the name of the `sampler`.

    `earlier` configurations of earlier runs come first, then `first` trials of the space; `prior`: it has one.

        >>> [source_of(number, "tpe", first=2, prior=True) for number in range(6)]
        ['first', 'first', 'tpe', 'prior', 'tpe', 'prior']
    """
    if number < earlier:
        return EARLIER
    if number < earlier + first:
        return FIRST
    place = number - earlier - first
    if prior and place < PRIOR_PROPOSALS and place % PRIOR_EVERY == PRIOR_EVERY - 1:
        return PRIOR
    return sampler


class PriorSampler(BaseSampler):
    """Draws each parameter from its entry in `priors`: a truncated normal, or weighted choices; others uniformly.

    A function of (seed, number) alone, so that a resumed run proposes alike.
    """

    def __init__(self, priors: Priors, seed: int, number: int) -> None:
        state = np.random.SeedSequence([seed, 2, number])
        self._priors = priors
        self._random = np.random.default_rng(state)
        self._uniform = RandomSampler(seed=int(state.generate_state(1)[0]))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing is sampled jointly; called by Optuna."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing; called by Optuna."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of one parameter; called by Optuna."""
        entry = entry_of(self._priors, param_name)
        if entry is None:
            return self._uniform.sample_independent(study, trial, param_name, param_distribution)
        return draw(entry, param_distribution, self._random)


def draw(entry: Mapping[Any, float], distribution: BaseDistribution, random: np.random.Generator) -> Any:
    """A value of `distribution` as the checked `entry` of a prior expects it."""
    if isinstance(distribution, CategoricalDistribution):
        weights = np.array(weights_of(entry, distribution.choices))
        return distribution.choices[int(random.choice(len(weights), p=weights / weights.sum()))]
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        raise TypeError(f"no prior for a {type(distribution).__name__}")
    centre, width = normal_of(entry)
    # Of whole numbers and steps each has an equal room around it, the ends too.
    step = distribution.step or 0.0
    room = 0.0 if distribution.log else step / 2
    ends = np.array([distribution.low - room, centre, distribution.high + room])
    low, middle, high = np.log10(ends) if distribution.log else ends
    found = _truncated(NormalDist(middle, width), low, high, random)
    value = 10**found if distribution.log else found
    if step:
        value = distribution.low + round((value - distribution.low) / step) * step
    value = min(max(value, distribution.low), distribution.high)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


def _truncated(normal: NormalDist, low: float, high: float, random: np.random.Generator) -> float:
    """A value from `low` to `high` by the inverse of the distribution function."""
    share = random.uniform(normal.cdf(low), normal.cdf(high))
    return normal.inv_cdf(min(max(share, EDGE), 1 - EDGE))
