"""ResNet (He et al. 2016) from torchvision."""

from functools import partial
from typing import TYPE_CHECKING

from trainables.models import register
from trainables.models.source import Source
from trainables.models.stages import named_stages

if TYPE_CHECKING:
    from torch import nn

_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool")
_STAGES = {"stem": ("conv1", "bn1"), **{f"layer{i}": (f"layer{i}",) for i in (1, 2, 3, 4)}}


@register("resnet18", num_stages=5)
def resnet18() -> Source:
    """Eighteen layers, 512 features."""
    return _source("resnet18", width=512)


@register("resnet50", num_stages=5)
def resnet50() -> Source:
    """Fifty layers, 2048 features."""
    return _source("resnet50", width=2048)


def _source(name: str, width: int) -> Source:
    from trainables.models import torchvision_weights

    return Source(
        build=partial(torchvision_weights.build, name),
        trunk=_trunk,
        width=width,
        stages=partial(named_stages, members=_STAGES),
        heads=("fc.",),
        **torchvision_weights.published(name),
    )


def _trunk(network: "nn.Module") -> "nn.Module":
    from torch import nn

    trunk = nn.Sequential()
    for name in _LAYERS:
        trunk.add_module(name, network.get_submodule(name))
    trunk.add_module("flatten", nn.Flatten())
    return trunk
