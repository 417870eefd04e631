"""The whole network and its auxiliary heads train from the first epoch."""

from trainables.config import TrialConfig
from trainables.strategies import Thaw, register


@register("full_aux", auxiliary=True)
def full_aux(config: TrialConfig, num_stages: int) -> list[Thaw]:
    """Everything from epoch 1; Szegedy et al. 2015, section 5, add the auxiliary losses in training."""
    return [Thaw(1, config.backbone_rate)] * num_stages
