"""The whole network trains from the first epoch."""

from trainables.config import TrialConfig
from trainables.strategies import Unfreeze, register


@register("full")
def full(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """Everything from epoch 1, the backbone at its own learning rate."""
    return [Unfreeze(1, config.backbone_rate)] * num_stages
