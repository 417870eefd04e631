"""The whole network and its auxiliary heads train from the first epoch."""

from trainables.config import TrialConfig
from trainables.strategies import Unfreeze, register


@register("full_aux", auxiliary=True)
def full_aux(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """Everything from epoch 1; Szegedy et al. 2015, section 5, add the auxiliary losses in training."""
    return [Unfreeze(1, config.backbone_rate)] * num_stages
