"""Stages join one after another, from the head down (Howard and Ruder 2018, section 3.3)."""

from trainables.config import TrialConfig
from trainables.strategies import Unfreeze, register


@register("staged_unfreeze")
def staged_unfreeze(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """One stage every `unfreeze_at` epochs, each slower than the one above by `stage_decay`."""
    wait, decay = config.unfreeze_at or 0, config.stage_decay or 1.0
    return [Unfreeze((k + 1) * wait + 1, config.backbone_rate * decay**k) for k in range(num_stages)]
