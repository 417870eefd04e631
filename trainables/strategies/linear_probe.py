"""The head is solved as a linear probe, and nothing trains (Kornblith et al. 2019, section 4).

Its one epoch reads the training images as validation sees them, without augmentation, since nothing is trained step by
step: the same features serve every such trial of a backbone. `learning_rate` and `augmentation` have no part in it.
"""

from trainables.config import TrialConfig
from trainables.strategies import Unfreeze, register


@register("linear_probe", solves_head=True, epochs=1)
def linear_probe(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """The backbone never trains."""
    return [Unfreeze(None, 0.0)] * num_stages
