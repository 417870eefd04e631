"""Gradual unfreezing as the study did it: the heads alone, then everything from a fresh optimizer at a low rate.

At the unfreeze the study made a new Adam over all parameters, the heads' included, and left its schedule with the old
one, where it moved nothing any more. It told heads from backbone by names: whatever held `fc` or `aux`. Its auxiliary
heads got no gradient, so none are built here. `gradual_unfreeze` is what to search with.

Kept apart from the study on purpose: while it is frozen the backbone is in evaluation mode, so its BatchNorm
statistics stand still. The study left it in training mode, where they moved with every batch.
"""

from trainables.config import TrialConfig
from trainables.strategies import Restart, Unfreeze, register


def _restart(config: TrialConfig) -> Restart:
    return Restart((config.unfreeze_at or 0) + 1, config.backbone_rate)


@register("study_unfreeze", restart=_restart)
def study_unfreeze(config: TrialConfig, num_stages: int) -> list[Unfreeze]:
    """The backbone joins in epoch `unfreeze_at + 1`; from then on heads and backbone share its rate, unscheduled."""
    return [Unfreeze((config.unfreeze_at or 0) + 1, config.backbone_rate)] * num_stages
