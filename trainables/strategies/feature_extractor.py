"""The backbone is frozen, the head trains."""

from trainables.config import TrialConfig
from trainables.strategies import Thaw, register


@register("feature_extractor")
def feature_extractor(config: TrialConfig, num_stages: int) -> list[Thaw]:
    """The backbone never trains."""
    return [Thaw(None, 0.0)] * num_stages
