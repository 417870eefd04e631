"""Mixed training pictures: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), one of them a batch.

Every picture is mixed with the one at its mirrored place in the batch, so that the larger share may always be called
its own: of two partners each is the other's smaller share.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_STREAM = 0x313
"""Keeps these random numbers apart from those of the order and of the augmentation."""


@dataclass(frozen=True)
class Mixture:
    """What is done to a batch: `lam` of every picture stays, in [0.5, 1]; within `box` alone where there is one.

    `box` is left, top, right and bottom as shares of the side: there the partner lies, undiluted.
    """

    lam: float
    box: tuple[float, float, float, float] | None = None


def draw_mixture(mixup: float, cutmix: float, run_seed: int, epoch: int, batch: int) -> Mixture | None:
    """The mixture of the `batch`-th batch of `epoch`, the same in every trial of a run; None where nothing is mixed.

    `mixup` and `cutmix` are the parameters of their Beta distributions, 0 for without. With both, each is drawn for
    half of the batches.
    """
    if mixup <= 0 and cutmix <= 0:
        return None
    random = np.random.default_rng((run_seed, epoch, batch, _STREAM))
    cut = random.random() < 0.5 if mixup > 0 and cutmix > 0 else cutmix > 0
    alpha = cutmix if cut else mixup
    lam = float(random.beta(alpha, alpha))
    lam = max(lam, 1 - lam)
    centre = random.random(2)
    if not cut:
        return Mixture(lam)
    half = np.sqrt(1 - lam) / 2
    (left, top), (right, bottom) = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    return Mixture(lam, (float(left), float(top), float(right), float(bottom)))


def mix(images: Tensor, mixture: Mixture) -> tuple[Tensor, float]:
    """Mixed pictures of `images` uint8 [b, 3, s, s], and the share of each that is its own.

    A box is cut at whole pixels and the share follows from its area.
    """
    partners = images.flip(0)
    if mixture.box is None:
        mixed = mixture.lam * images.float() + (1 - mixture.lam) * partners.float()
        return mixed.round_().to(torch.uint8), mixture.lam
    height, width = images.shape[2:]
    left, right = (round(mixture.box[place] * width) for place in (0, 2))
    top, bottom = (round(mixture.box[place] * height) for place in (1, 3))
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = partners[:, :, top:bottom, left:right]
    return mixed, 1 - (right - left) * (bottom - top) / (height * width)
