"""The head starts as the solved linear probe, then everything trains at one low rate (Kumar et al. 2022).

The first epoch trains nothing step by step: it solves the head on the frozen features of that epoch's pictures, to the
minimum of the trial's own loss plus `probe_l2`. From a random head the first gradients spoil the features; from the
solved one they need to move little. The heads' `learning_rate` has no part in it.

BatchNorms keep the statistics that the head was solved with: by those of small batches its answers would be wrong at
once, and the first epoch would go into mending them.
"""

from trainables.config import TrialConfig
from trainables.strategies import Unfreeze, register


@register("probe_then_full", solves_head=True)
def probe_then_full(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """The backbone joins in epoch 2; from then on it and the heads share its rate."""
    return [Unfreeze(2, config.backbone_rate)] * num_stages
