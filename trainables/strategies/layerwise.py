"""Everything trains from the first epoch, the nearer to the input the slower.

Discriminative rates: Howard and Ruder 2018, section 3.2; the layer-wise decay of Clark et al. 2020 (ELECTRA) and of
Bao et al. 2022 (BEiT), here by stage.
"""

from trainables.config import TrialConfig
from trainables.strategies import Unfreeze, register


@register("layerwise")
def layerwise(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """Everything from epoch 1, each stage slower than the one above by `stage_decay`."""
    decay = config.stage_decay or 1.0
    return [Unfreeze(1, config.backbone_rate * decay**k) for k in range(num_stages)]
