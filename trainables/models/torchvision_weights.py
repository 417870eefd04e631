"""Pretrained weights through torchvision's weights API."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.models import weights


def fetch(enum: Any) -> Mapping[str, Any]:
    """The state dict of a torchvision weights enum's member, from torch.hub's cache or downloaded."""
    state: Mapping[str, Any] = enum.get_state_dict(progress=False, check_hash=True)
    return state


def cached(enum: Any) -> Path | None:
    """The file of a torchvision weights enum's member in torch.hub's cache; None if it is not there."""
    return weights.cached(enum.url)


def available(enum: Any) -> bool:
    """Whether the file of a torchvision weights enum's member is cached, or its address answers."""
    return weights.cached_or_reachable(enum.url)
