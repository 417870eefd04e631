"""What an epoch costs, from the configuration alone: the currency of early stopping. No torch here.

The unit is a full epoch, one that trains the whole network over all training images. What a machine takes for it does
not matter, so every driver of a run, and every resume, counts alike. A full epoch of a large network counts as much as
one of a small network, though it takes more seconds: whoever compares backbones multiplies by what a probe measured.
"""

import functools

from trainables import models, strategies
from trainables.config import TrialConfig

__all__ = ["epoch_cost", "spent"]

FORWARD = 1 / 3
"""The forward pass's share of a training step: backward there are two products for each of its one, a gradient of the
weights and one of the inputs."""

BANKED = 0.0
"""An epoch on features from the feature cache trains a head alone, little beside a network: counted as nothing."""


def epoch_cost(config: TrialConfig, epoch: int, *, cached: bool = True) -> float:
    """The cost of `epoch` (1-based) of the trial `config` in full epochs, at most 1.

    While the whole backbone is frozen nothing is paid where its features are `cached` (kept in a feature cache), else
    the forward pass. Once stages train, their share of the backward pass is added, each stage taken for an equal part
    of the network.
    """
    stages = models.num_stages(config.model)
    trained = strategies.trained_stages(config, stages, epoch)
    if trained == 0 and cached:
        return BANKED
    return FORWARD + (1 - FORWARD) * trained / stages


def spent(config: TrialConfig, epoch: int, *, cached: bool = True) -> float:
    """The cost of all epochs of the trial `config` up to and with `epoch` (1-based), in full epochs."""
    if epoch > strategies.max_epochs(config):
        raise ValueError(f"epoch {epoch} of a trial of {strategies.max_epochs(config)}")
    return _totals(config, cached)[epoch]


@functools.lru_cache(maxsize=1024)
def _totals(config: TrialConfig, cached: bool) -> tuple[float, ...]:
    """What has been spent after 0, 1, 2 ... epochs."""
    totals = [0.0]
    for epoch in range(1, strategies.max_epochs(config) + 1):
        totals.append(totals[-1] + epoch_cost(config, epoch, cached=cached))
    return tuple(totals)
