"""What a family file says about a network: how to build it and how to take it apart. No torch at import."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from trainables.models.stages import Stage

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Source:
    """How a network is had and taken apart.

    `build` makes it with random weights and a 1000-class head. `trunk` is what is left of it without the
    head, a module from images to pooled features [b, width]; parameters keep their names. `heads` are the
    prefixes of the keys that a file of weights may have, lack or have for other classes, since they are made
    anew. `mean` and `std` belong to the network, whatever its weights, so that a file of weights is always
    read with what it was made for. `auxiliary` makes the auxiliary heads for a number of classes, which read
    the trunk's children `aux_inputs`, named with their channels.
    """

    build: Callable[[], "nn.Module"]
    trunk: Callable[["nn.Module"], "nn.Module"]
    width: int | Callable[["nn.Module"], int]
    stages: Callable[["nn.Module"], "tuple[Stage, ...]"]
    heads: tuple[str, ...]
    pretrained: Callable[[], Mapping[str, Any]]
    available: Callable[[], bool]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    auxiliary: Callable[[int], "list[nn.Module]"] | None = None
    aux_inputs: Mapping[str, int] | None = None
    image_size: int = 224
    """Side of the images at which it is described: the only one that some networks of timm take."""
    url: str = ""
    """Where the pretrained weights are fetched from, where that is known."""
    cached: "Callable[[], Path | None] | None" = None
    """Their file on this machine, None where there is none yet; no function where nobody can say."""
    layout: "str | Callable[[nn.Module], str]" = "NCHW"
    """How the stages' outputs of four axes lie: NCHW [b, c, h, w], or NHWC [b, h, w, c] as in timm's Swin."""
    on_meta: bool = True
    """Whether building on the meta device leaves nothing unset that a state dict does not fill."""
