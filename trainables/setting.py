"""Where and how a trial computes."""

from dataclasses import dataclass

import torch

__all__ = ["CPU", "ComputeConfig"]

CPU = torch.device("cpu")


@dataclass(frozen=True)
class ComputeConfig:
    """Where and how a trial computes: device, precision, image size, base weights and the run's seed.

    `positive` is the number of the class that metrics of one class are of.
    """

    image_size: int
    weights: str = "none"
    precision: str = "fp32"
    run_seed: int = 0
    metric: str = "val_loss"
    positive: int | None = None
    device: torch.device = CPU
