"""ResNet (He et al. 2016) from torchvision."""

from functools import partial
from typing import TYPE_CHECKING, Any

from trainables.models import register
from trainables.models.source import Source

if TYPE_CHECKING:
    from torch import nn

_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool")
_STAGES = {"stem": ("conv1", "bn1"), **{f"layer{i}": (f"layer{i}",) for i in (1, 2, 3, 4)}}


@register("resnet18", num_stages=5)
def resnet18() -> Source:
    """Eighteen layers, 512 features."""
    from torchvision import models

    return _source(models.resnet18, models.ResNet18_Weights.DEFAULT, width=512)


@register("resnet50", num_stages=5)
def resnet50() -> Source:
    """Fifty layers, 2048 features."""
    from torchvision import models

    return _source(models.resnet50, models.ResNet50_Weights.DEFAULT, width=2048)


def _source(build: Any, enum: Any, width: int) -> Source:
    from trainables.models import torchvision_weights
    from trainables.models.classifier import named_stages

    return Source(
        build=build,
        trunk=_trunk,
        width=width,
        stages=partial(named_stages, members=_STAGES),
        heads=("fc.",),
        pretrained=partial(torchvision_weights.fetch, enum),
        available=partial(torchvision_weights.available, enum),
        cached=partial(torchvision_weights.cached, enum),
        url=enum.url,
    )


def _trunk(network: "nn.Module") -> "nn.Module":
    from torch import nn

    trunk = nn.Sequential()
    for name in _LAYERS:
        trunk.add_module(name, network.get_submodule(name))
    trunk.add_module("flatten", nn.Flatten())
    return trunk
