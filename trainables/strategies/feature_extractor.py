"""The backbone is frozen, the head trains."""

from trainables.config import TrialConfig
from trainables.strategies import Unfreeze, register


@register("feature_extractor")
def feature_extractor(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """The backbone never trains."""
    return [Unfreeze(None, 0.0)] * num_stages
