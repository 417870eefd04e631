"""GoogLeNet (Szegedy et al. 2015) from torchvision, which adds BatchNorm and has 3x3 for the paper's 5x5."""

from functools import partial
from typing import TYPE_CHECKING

from trainables.models import register
from trainables.models.source import Source
from trainables.models.stages import named_stages

if TYPE_CHECKING:
    from torch import nn

_LAYERS = (
    *("conv1", "maxpool1", "conv2", "conv3", "maxpool2", "inception3a", "inception3b", "maxpool3"),
    *(f"inception4{letter}" for letter in "abcde"),
    *("maxpool4", "inception5a", "inception5b", "avgpool"),
)
_STAGES = {
    "stem": ("conv1", "conv2", "conv3"),
    "inception3": ("inception3a", "inception3b"),
    "inception4": tuple(f"inception4{letter}" for letter in "abcde"),
    "inception5": ("inception5a", "inception5b"),
}
_TAPS = {"inception4a": 512, "inception4d": 528}
"""The children that the auxiliary heads read, with their channels."""


@register("googlenet", num_stages=4, auxiliary=True)
def googlenet() -> Source:
    """Inception v1, 1024 features."""
    from trainables.models import torchvision_weights

    return Source(
        build=_build,
        trunk=_trunk,
        width=1024,
        stages=partial(named_stages, members=_STAGES),
        heads=("fc.", "aux1.", "aux2."),
        **torchvision_weights.published("googlenet"),
        # torchvision's weights want ImageNet's normalisation followed by transform_input, which together are
        # exactly (x - 0.5) / 0.5; so it is done once, with the images.
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        auxiliary=_auxiliary,
        aux_inputs=_TAPS,
    )


def _build() -> "nn.Module":
    from torch import nn
    from torchvision import models

    network: nn.Module = models.googlenet(weights=None, aux_logits=False, init_weights=False)
    # torchvision's own initialisation truncates N(0, 0.01) at 200 standard deviations: the same, but slow.
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, std=0.01)
    return network


def _trunk(network: "nn.Module") -> "nn.Module":
    from torch import nn

    trunk = nn.Sequential()
    for name in _LAYERS:
        trunk.add_module(name, network.get_submodule(name))
    trunk.add_module("flatten", nn.Flatten())
    return trunk


def _auxiliary(num_classes: int) -> "list[nn.Module]":
    """New auxiliary heads, aux1 then aux2: those in torchvision's file were never trained."""
    from torchvision.models.googlenet import InceptionAux

    return [InceptionAux(channels, num_classes) for channels in _TAPS.values()]
