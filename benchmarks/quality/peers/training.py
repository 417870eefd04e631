"""Fine-tuning: AdamW, cosine, cross-entropy with smoothing, random crops."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.quality.peers.images import Pictures, device


@dataclass(frozen=True)
class Settings:
    """One configuration; `learning_rate` is the backbone's, and the last layer's unless that has its own."""

    backbone: str
    learning_rate: float
    head_learning_rate: float | None = None
    weight_decay: float = 0.01
    smoothing: float = 0.0
    crop: float = 0.7
    flip: bool = True
    epochs: int = 15
    batch_size: int = 32


def seed_all(seed: int) -> None:
    """Of the new last layer, the order of images, crops and mirrors."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def train(network: nn.Module, pictures: Pictures, settings: Settings) -> Iterator[int]:
    """Train on all `pictures`; the number of every epoch that ends, from 1 on."""
    batches = DataLoader(
        pictures, settings.batch_size, shuffle=True, drop_last=len(pictures) > settings.batch_size
    )
    head = list(network.get_classifier().parameters())  # type: ignore[operator]
    backbone = [one for one in network.parameters() if all(one is not own for own in head)]
    optimizer = torch.optim.AdamW(
        [
            {"params": backbone, "lr": settings.learning_rate},
            {"params": head, "lr": settings.head_learning_rate or settings.learning_rate},
        ],
        weight_decay=settings.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * len(batches))
    criterion = nn.CrossEntropyLoss(label_smoothing=settings.smoothing)
    for epoch in range(1, settings.epochs + 1):
        network.train()
        for images, labels in batches:
            loss = criterion(
                network(images.to(device(), memory_format=torch.channels_last)), labels.to(device())
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        yield epoch
