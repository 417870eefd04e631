"""What a head is solved on: pooled features of an epoch's pictures, the backbone being frozen meanwhile."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainables.batch_loader import BatchLoader
from trainables.readback import read_back, read_back_each
from trainables.training_step import TrainingStep

__all__ = ["of_augmented", "of_plain"]


def of_augmented(loader: BatchLoader, step: TrainingStep, epoch: int, size: int) -> tuple[Tensor, Tensor]:
    """Features fp32 [n, d] of the pictures that `epoch` trains on, and their labels int64 [n], on the CPU.

    They are computed `size` at a time.
    """
    labels: list[Tensor] = []

    def features() -> Iterator[Tensor]:
        for inputs, targets in loader.train(epoch):
            labels.append(targets)
            yield from (step.pooled(part).float() for part in inputs.split(size))

    pooled = torch.cat(list(read_back_each(features())))
    return pooled, read_back(torch.cat(labels))


def of_plain(
    loader: BatchLoader, step: TrainingStep, epoch: int, size: int, *, mirrored_too: bool = False
) -> tuple[Tensor, Tensor]:
    """The same of the training images as validation sees them, and with `mirrored_too` of their mirror images."""
    views = [_of_view(loader, step, epoch, size, mirrored=False)]
    if mirrored_too:
        views.append(_of_view(loader, step, epoch, size, mirrored=True))
    return torch.cat([pooled for pooled, _ in views]), torch.cat([labels for _, labels in views])


def _of_view(
    loader: BatchLoader, step: TrainingStep, epoch: int, size: int, *, mirrored: bool
) -> tuple[Tensor, Tensor]:
    batches, labels = loader.plain(epoch, size, mirrored=mirrored)
    pooled = read_back_each(step.pooled(inputs).float() for inputs in batches)
    return torch.cat(list(pooled)), labels
