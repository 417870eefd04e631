"""A search on curves that are made up: how many epochs ASHA would spend, and how long they would take.

Losses fall as a power of the epochs trained, floor + drop * t ** -power, with floor, drop and power drawn a trial; a
frozen epoch counts a third, and every epoch scatters by a few per cent. That is the shape of the curves that
benchmarks/search/curves.parquet holds; how good a trial is does not follow from its parameters here.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainables import models, strategies
from trainables.config import TrialConfig
from trainables.epoch_cost import spent
from tuner.planning.limits import Limits
from tuner.tuning.scheduler import Rungs

FROZEN_PROGRESS = 1 / 3
SCATTER = 0.05

EpochSeconds = Callable[[TrialConfig, int], float]
"""Seconds of one epoch (1-based) of a trial; asked once, when the epoch begins."""


@dataclass
class Simulated:
    """One simulated search: epochs and trials by model x strategy, and the seconds until its last trial ended.

    `judging_s` is what folds take after that.
    """

    epochs: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    busy_s: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    trials: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    stopped: int = 0
    seconds: float = 0.0
    judging_s: float = 0.0


def simulate(
    configs: Sequence[TrialConfig],
    rungs: Rungs | None,
    epoch_seconds: EpochSeconds,
    concurrent: int,
    limits: Limits,
    random: np.random.Generator,
    *,
    cached: bool = True,
) -> Simulated:
    """Search `configs` in order with `concurrent` trials at once; nobody starts or goes on beyond the `limits`.

    `cached`: a frozen backbone's features are kept in a feature cache, as `trainables.epoch_cost` asks.
    """
    result = Simulated()
    waiting = list(reversed(list(enumerate(configs))))
    events: list[tuple[float, int]] = []
    running: dict[int, _Trial] = {}
    now = 0.0

    def begin_epoch(number: int) -> None:
        trial = running[number]
        seconds = epoch_seconds(trial.config, trial.epoch + 1)
        limits.timed(number, seconds)
        trial.seconds += seconds
        result.busy_s[_key(trial.config)] += seconds
        heapq.heappush(events, (now + seconds, number))

    def begin_trial() -> None:
        if waiting and not limits.too_late(now):
            number, config = waiting.pop()
            running[number] = _Trial(config, random, cached)
            result.trials[_key(config)] += 1
            begin_epoch(number)

    for _ in range(concurrent):
        begin_trial()
    while events:
        now, number = heapq.heappop(events)
        trial = running[number]
        ended = trial.train(rungs, number, random)
        result.epochs[_key(trial.config)] += 1
        result.stopped += ended == "stopped"
        if ended:
            limits.end(trial.loss, trial.epoch, trial.seconds)
        if ended or limits.is_over(now):
            begin_trial()
        else:
            begin_epoch(number)
    result.seconds, result.judging_s = now, limits.judging_s(now)
    return result


class _Trial:
    """A made-up learning curve, epoch by epoch."""

    def __init__(self, config: TrialConfig, random: np.random.Generator, cached: bool) -> None:
        self.config, self.cached, self.epoch = config, cached, 0
        self.loss, self.seconds = math.inf, 0.0
        self._last_unfreeze = strategies.last_unfreeze(config, models.num_stages(config.model))
        self._floor, self._drop = 0.3 * random.lognormal(0, 0.6), random.lognormal(0, 0.6)
        self._power = random.uniform(0.4, 1.2)
        self._progress = 0.0
        self._reference, self._waited = math.inf, 0

    def train(self, rungs: Rungs | None, number: int, random: np.random.Generator) -> str | None:
        """One more epoch; how the trial ended, or None."""
        self.epoch += 1
        full = max(0, self.epoch - self._last_unfreeze + 1)
        self._progress += 1 if full else FROZEN_PROGRESS
        loss = (self._floor + self._drop * self._progress**-self._power) * random.lognormal(0, SCATTER)
        self.loss = min(self.loss, loss)
        improved = loss < self._reference - self.config.min_delta
        self._reference = loss if improved else self._reference
        self._waited = 0 if improved or not full else self._waited + 1
        if self.epoch >= strategies.max_epochs(self.config):
            return "completed"
        if self.config.patience and self._waited >= self.config.patience:
            return "patience"
        cost = spent(self.config, self.epoch, cached=self.cached)
        if rungs is not None and rungs.enter(str(number), self.epoch, full, loss, cost) is not None:
            return "stopped"
        return None


def _key(config: TrialConfig) -> tuple[str, str]:
    return config.model, config.strategy


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The values below which a tenth, a half and nine tenths of `values` lie."""
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    return float(low), float(middle), float(high)


def mean_counts(counts: Sequence[Mapping[tuple[str, str], float]]) -> dict[tuple[str, str], float]:
    """The mean of every count over the simulations."""
    keys = sorted({key for count in counts for key in count})
    return {key: float(np.mean([count.get(key, 0) for count in counts])) for key in keys}
