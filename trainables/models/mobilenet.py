"""MobileNetV2 (Sandler et al. 2018) from torchvision."""

from functools import partial
from typing import TYPE_CHECKING

from trainables.models import register
from trainables.models.source import Source
from trainables.models.stages import named_stages

if TYPE_CHECKING:
    from torch import nn

# Blocks of one resolution are a stage: each begins with the block whose stride is 2.
_SPANS = {"stem": (0, 2), "stride4": (2, 4), "stride8": (4, 7), "stride16": (7, 14), "stride32": (14, 19)}
_STAGES = {name: tuple(f"features.{i}" for i in range(*span)) for name, span in _SPANS.items()}


@register("mobilenet_v2", num_stages=5)
def mobilenet_v2() -> Source:
    """Inverted residuals, 1280 features."""
    from trainables.models import torchvision_weights

    return Source(
        build=partial(torchvision_weights.build, "mobilenet_v2"),
        trunk=_trunk,
        width=1280,
        stages=partial(named_stages, members=_STAGES),
        heads=("classifier.",),
        **torchvision_weights.published("mobilenet_v2"),
    )


def _trunk(network: "nn.Module") -> "nn.Module":
    from torch import nn

    trunk = nn.Sequential()
    trunk.add_module("features", network.get_submodule("features"))
    trunk.add_module("pool", nn.AdaptiveAvgPool2d(1))
    trunk.add_module("flatten", nn.Flatten())
    return trunk
