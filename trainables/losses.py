"""The loss that a trial trains with. Validation never uses it: its loss is plain cross-entropy."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from trainables.errors import InvalidValue


def class_weights(counts: Sequence[int], power: float) -> Tensor:
    """One weight a class, count ** -power, fp32, scaled so that their mean over the *images* is 1.

    So the sum of weights over an epoch is the number of images at every power, and power 0 weighs every class
    1. Raises InvalidValue for a class without images.
    """
    if min(counts) < 1:
        raise InvalidValue(f"class counts {list(counts)} hold an empty class, which can't be weighted")
    images = torch.tensor(counts, dtype=torch.float64)
    raw = images**-power
    return (raw * images.sum() / (raw * images).sum()).float()


def training_loss(
    outputs: tuple[Tensor, ...],
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    auxiliary_weight: float | None = None,
) -> Tensor:
    """Cross-entropy of the first of `outputs`, plus `auxiliary_weight` times the sum of the others', in fp32.

    Logits [b, classes] each, labels [b] whole numbers. With `weight`, a batch's mean is over the weights of
    its images, as torch.nn.functional.cross_entropy has it, smoothing included. Auxiliary outputs without a
    weight do not count.
    """
    losses = [
        F.cross_entropy(logits.float(), labels, weight=weight, label_smoothing=label_smoothing)
        for logits in (outputs if auxiliary_weight is not None else outputs[:1])
    ]
    total = losses[0]
    for auxiliary in losses[1:]:
        total = total + (auxiliary_weight or 0.0) * auxiliary
    return total


def describe_loss(
    *, weight: Tensor | None = None, label_smoothing: float = 0.0, auxiliary_weight: float | None = None
) -> str:
    """What `training_loss` with the same arguments is, in a few words."""
    parts = ["cross-entropy"]
    if label_smoothing > 0:
        parts.append(f"smoothing {label_smoothing:.4g}")
    if weight is not None:
        parts.append("class weights " + " ".join(f"{value:.4g}" for value in weight.tolist()))
    if auxiliary_weight is not None:
        parts.append(f"auxiliary {auxiliary_weight:.4g}")
    return ", ".join(parts)
