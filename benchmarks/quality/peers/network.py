"""A timm network: from a file of pretrained weights, to and from a file of one's own, and its answers."""

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.quality.peers.images import Pictures, device


def pretrained(name: str, weights: Path, num_classes: int) -> nn.Module:
    """The network `name` with the weights that the folder `weights` holds for it, and a new last layer."""
    network: nn.Module = timm.create_model(name)
    network.load_state_dict(torch.load(weights / f"{name}.pt", weights_only=True))
    network.reset_classifier(num_classes)  # type: ignore[operator]
    return network.to(device(), memory_format=torch.channels_last)


def save(path: Path, network: nn.Module, name: str, classes: Sequence[str], image_size: int) -> None:
    """Write all that `load` needs."""
    kept = {"name": name, "classes": list(classes), "image_size": image_size}
    torch.save({**kept, "state": network.state_dict()}, path)


def load(path: Path) -> tuple[nn.Module, list[str], int]:
    """The network, its classes and its image size."""
    kept = torch.load(path, weights_only=True)
    network: nn.Module = timm.create_model(kept["name"], num_classes=len(kept["classes"]))
    network.load_state_dict(kept["state"])
    return network.to(device(), memory_format=torch.channels_last), kept["classes"], kept["image_size"]


@torch.inference_mode()
def outputs(network: nn.Module, pictures: Pictures) -> Tensor:
    """What the network says of every picture [n, outputs]."""
    network.eval()
    batches = DataLoader(pictures, 64)
    found = [network(batch.to(device(), memory_format=torch.channels_last)).cpu() for batch, _ in batches]
    return torch.cat(found)
