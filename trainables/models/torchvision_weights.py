"""Networks of torchvision and their pretrained weights, by name; torchvision is imported when one is built or read."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from trainables.models import weights
from trainables.models.candidates import torchvision_url

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build", "published"]


def build(name: str) -> "nn.Module":
    """The network `name` of torchvision with random weights."""
    from torchvision import models

    network: nn.Module = models.get_model(name, weights=None)
    return network


def published(name: str) -> dict[str, Any]:
    """Fields of the `Source` of torchvision's network `name`: `pretrained`, `available`, `cached` and `url`."""
    url = str(torchvision_url(name))
    return {
        "pretrained": partial(_fetch, name),
        "available": partial(weights.cached_or_reachable, url),
        "cached": partial(weights.cached, url),
        "url": url,
    }


def _fetch(name: str) -> Mapping[str, Any]:
    """The state dict of the best weights of `name`, from torch.hub's cache or downloaded."""
    from torchvision import models

    best = models.get_model_weights(name).DEFAULT
    state: Mapping[str, Any] = best.get_state_dict(progress=False, check_hash=True)
    return state
