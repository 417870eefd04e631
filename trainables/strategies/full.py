"""The whole network trains from the first epoch."""

from trainables.config import TrialConfig
from trainables.strategies import Thaw, register


@register("full")
def full(config: TrialConfig, num_stages: int) -> list[Thaw]:
    """Everything from epoch 1, the backbone at its own learning rate."""
    return [Thaw(1, config.backbone_rate)] * num_stages
