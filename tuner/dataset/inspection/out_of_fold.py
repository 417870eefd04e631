"""What a linear probe says of each image that it was not solved on."""

import torch
from torch import Tensor
from torch.nn import functional as F

from trainables.linear_probe import PENALTIES, SEARCH_TOLERANCE, choose_l2, solve

__all__ = ["out_of_fold"]

CHOOSING = 4000
"""Images by which the penalty is chosen, at most."""


def out_of_fold(features: Tensor, labels: Tensor, num_classes: int, folds: Tensor, seed: int = 0) -> Tensor:
    """Probabilities [n, num_classes] of each image from a probe on the other folds; NaN for folds below 0.

    `features` [n, d], `labels` [n] class numbers, `folds` [n]; an image of a fold below 0 is in every training part.
    The penalty is the one with the lowest cross-validated log loss, on at most `CHOOSING` images.

    >>> features = torch.tensor([[0.0], [0.1], [0.2], [0.3], [1.0], [1.1], [1.2], [1.3]])
    >>> labels, folds = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
    >>> out_of_fold(features, labels, 2, folds).argmax(1).tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:CHOOSING]
    penalties = PENALTIES if (folds[chosen] >= 0).any() else PENALTIES[:1]
    l2 = penalties[0]
    if len(penalties) > 1:
        l2, _ = choose_l2(features[chosen], labels[chosen], num_classes, folds[chosen], penalties)
    found = torch.full((len(labels), num_classes), float("nan"), dtype=torch.float64)
    for fold in folds[folds >= 0].unique().tolist():
        out = folds == fold
        solved = solve(features[~out], labels[~out], num_classes, l2=l2, tolerance=SEARCH_TOLERANCE)
        found[out] = F.linear(features[out].float(), *solved).double().softmax(1)
    return found
