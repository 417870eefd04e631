"""How long the epochs of a simulated search take, by what was timed of each model x strategy."""

from collections.abc import Mapping

from trainables import models, strategies
from trainables.config import TrialConfig
from tuner.planning.timing import Cost
from tuner.tuning.config import SearchConfig

__all__ = ["CACHED", "EpochClock"]

CACHED = 0.03
"""What a frozen epoch takes when its features are in the feature cache, as a share of computing them."""


class EpochClock:
    """Seconds of an epoch within one simulated search: frozen ones are computed once and read by all later trials.

    Between the first epoch and the last unfreeze they grow with the number of stages that train.
    """

    def __init__(
        self, costs: Mapping[tuple[str, str], Cost], images: tuple[int, int], config: SearchConfig
    ) -> None:
        self._costs, self._images, self._limit = costs, images, config.data.feature_cache_bytes
        self.computed: set[tuple[str, int]] = set()

    def __call__(self, config: TrialConfig, epoch: int) -> float:
        """Seconds of `epoch` (1-based) of the trial `config`."""
        cost = self._costs[config.model, config.strategy]
        train, val = self._images
        stages = models.num_stages(config.model)
        last = strategies.last_unfreeze(config, stages)
        start, now, end = (strategies.trained_stages(config, stages, e) for e in (1, epoch, last))
        grown = (now - start) / (end - start) if end > start else 1.0
        whole = (cost.first_s + (cost.full_s - cost.first_s) * grown) * train + cost.eval_s * val
        if now > 0:
            return whole
        # Of all linear probes and of all epochs alike: the pictures are not augmented.
        pictures = 0 if strategies.is_linear_probe(config.strategy) else epoch
        known = (config.model, pictures) in self.computed
        self.computed.add((config.model, pictures))
        cached = train * cost.feature_width * 4 <= self._limit
        return whole * CACHED if known and cached else whole
