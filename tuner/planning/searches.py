"""The simulated searches of a plan: what each tries, and what it spends."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trainables.config import TrialConfig
from tuner.planning.epoch_clock import EpochClock
from tuner.planning.limits import Limits
from tuner.planning.pool import Pool
from tuner.planning.simulation import Simulated, simulate
from tuner.tuning.config import SearchConfig, SpaceSettings
from tuner.tuning.scheduler import make_rungs

__all__ = ["SIMULATIONS", "Order", "draw_orders", "simulate_orders"]

SIMULATIONS = 30

Order = tuple[list[TrialConfig], np.random.Generator]
"""The configurations that one simulated search tries, and what its chance goes on from."""


def draw_orders(pool: Pool, samples: int, seed: int) -> list[Order]:
    """What each simulated search tries, and what its chance goes on from."""
    generators = [np.random.default_rng([seed, number]) for number in range(SIMULATIONS)]
    return [(pool.order(samples, random), random) for random in generators]


def simulate_orders(
    config: SearchConfig,
    settings: SpaceSettings,
    orders: Sequence[Order],
    seconds: EpochClock,
    limits: Limits,
) -> list[Simulated]:
    """A search of each of the `orders`, with as many trials at once as the `limits` have slots."""
    grid, cached = settings.space.grid, config.data.feature_cache_bytes > 0
    found = []
    for chosen, random in orders:
        rungs = make_rungs(
            "val_loss", settings.max_epochs, settings.grace_period, config.reduction_factor, not grid
        )
        seconds.computed.clear()
        own = replace(limits, ended=[], longest={})
        found.append(simulate(chosen, rungs, seconds, limits.slots, own, random, cached=cached))
    return found
