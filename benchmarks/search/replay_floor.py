"""The lowest loss that a configuration of the space can be expected to reach, found before any search is run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler

import search_spaces
from benchmarks.search.replay_curves import Surrogate
from search_spaces import Space

POOL = 4000
"""Random configurations that are looked at first."""

BEST, ROUNDS, AROUND = 12, 8, 24
"""So many of the best are improved in so many rounds by as many small changes each."""

KEPT = 0.75
"""Chance that a change leaves one parameter as it is."""

FEW = 0.01


class Around(RandomSampler):
    """Each parameter as in `base`, or near to it; random where `base` does not have it."""

    def __init__(self, base: Mapping[str, Any], width: float, seed: int) -> None:
        super().__init__(seed=seed)
        self._base, self._width, self._random = base, width, np.random.default_rng(seed)

    def sample_independent(
        self, study: optuna.Study, trial: Any, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value; called by Optuna."""
        drawn = super().sample_independent(study, trial, param_name, param_distribution)
        if param_name not in self._base:
            return drawn
        kept = self._base[param_name]
        if not param_distribution._contains(param_distribution.to_internal_repr(kept)):
            return drawn
        if self._random.random() < KEPT:
            return kept
        if isinstance(param_distribution, CategoricalDistribution):
            return drawn
        low, high = param_distribution.low, param_distribution.high  # type: ignore[attr-defined]
        if isinstance(param_distribution, FloatDistribution) and param_distribution.log:
            moved = np.log(kept) + self._width * (np.log(high) - np.log(low)) * self._random.normal()
            return float(np.clip(np.exp(moved), low, high))
        moved = np.clip(kept + self._width * (high - low) * self._random.normal(), low, high)
        return float(moved) if isinstance(param_distribution, FloatDistribution) else round(moved)


def goals(
    curves: Surrogate, space: Space, overrides: Mapping[str, Any], allowed: Mapping[str, tuple[str, ...]]
) -> tuple[float, float]:
    """The lowest expected loss that was found in the space, and what the best 1 % of random configurations reach.

    Always the same for the same curves: it depends on no search.
    """

    def tried(sampler: optuna.samplers.BaseSampler) -> tuple[float, dict[str, Any]]:
        study.sampler = sampler
        trial = study.ask()
        config = search_spaces.configure(space, trial, overrides, allowed)
        return float(curves.expected(config).min()), dict(trial.params)

    study = optuna.create_study()
    random = RandomSampler(seed=1)
    pool = sorted((tried(random) for _ in range(POOL)), key=lambda found: found[0])
    few = pool[int(FEW * POOL)][0]
    best, seed = pool[:BEST], 0
    for turn in range(ROUNDS):
        for place, (value, parameters) in enumerate(best):
            for _ in range(AROUND):
                seed += 1
                found, changed = tried(Around(parameters, 0.2 / (turn + 1), seed))
                if found < value:
                    value, parameters = found, changed
            best[place] = (value, parameters)
    return min(value for value, _ in best), few
