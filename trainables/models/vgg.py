"""VGG (Simonyan and Zisserman 2015) from torchvision."""

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from trainables.models import register
from trainables.models.source import Source
from trainables.models.stages import named_stages

if TYPE_CHECKING:
    from torch import nn

# Convolutions between two poolings are a block, the pooling included; fc6 and fc7 belong to the backbone too.
_BLOCKS = {"block1": (0, 5), "block2": (5, 10), "block3": (10, 17), "block4": (17, 24), "block5": (24, 31)}
_STAGES = {
    **{name: tuple(f"features.{i}" for i in range(*span)) for name, span in _BLOCKS.items()},
    "classifier": ("classifier",),
}
_LAST_HIDDEN = 5
"""`classifier[:5]` ends with fc7's ReLU; the dropout after it is the new head's own."""


@register("vgg16", num_stages=6)
def vgg16() -> Source:
    """Sixteen layers without BatchNorm, 4096 features."""
    from trainables.models import torchvision_weights

    return Source(
        build=partial(torchvision_weights.build, "vgg16"),
        trunk=_trunk,
        width=4096,
        stages=partial(named_stages, members=_STAGES),
        heads=("classifier.6.",),
        **torchvision_weights.published("vgg16"),
    )


def _trunk(network: "nn.Module") -> "nn.Module":
    from torch import nn

    trunk = nn.Sequential()
    trunk.add_module("features", network.get_submodule("features"))
    trunk.add_module("avgpool", network.get_submodule("avgpool"))
    trunk.add_module("flatten", nn.Flatten())
    hidden = list(network.get_submodule("classifier").named_children())[:_LAST_HIDDEN]
    trunk.add_module("classifier", nn.Sequential(OrderedDict(hidden)))
    return trunk
