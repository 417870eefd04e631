"""First the head alone, then everything."""

from trainables.config import TrialConfig
from trainables.strategies import Unfreeze, register


@register("gradual_unfreeze")
def gradual_unfreeze(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """The backbone joins in epoch `unfreeze_at + 1`, at its own learning rate."""
    return [Unfreeze((config.unfreeze_at or 0) + 1, config.backbone_rate)] * num_stages
