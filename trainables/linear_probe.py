"""A linear probe: multinomial logistic regression on features, solved and not trained.

Its loss is the trial's own criterion as a mean over images, plus `l2` / 2 times the sum of the squared weights (not of
the biases) on features with mean 0 and a standard deviation of at most 1 (see `scales`). scikit-learn's C of the same
problem is 1 / (l2 * images).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.losses import training_loss

MAX_ITERATIONS = 500
TOLERANCE = 1e-6
"""Of the largest entry of the gradient, in nats."""

SEARCH_TOLERANCE = 1e-4
"""The same while penalties are compared, which takes no more."""

PENALTIES = tuple(10.0**power for power in range(-4, 3))


def solve(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    l2: float,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    start: tuple[Tensor, Tensor] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[Tensor, Tensor]:
    """Weights [num_classes, d] and biases [num_classes] of a linear layer on raw `features` [n, d], fp32.

    `labels` [n] are class numbers, `weight` [num_classes] the classes' weights in the loss. Solved on the CPU in double
    precision by L-BFGS, so that the solution follows from the features alone. `start`, a solution for another
    `l2`, is where to begin; without one it begins at zero.

    >>> features = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> weights, biases = solve(features, torch.tensor([0, 0, 1, 1]), 2, l2=0.1)
    >>> (features @ weights.T + biases).argmax(1).tolist()
    [0, 0, 1, 1]
    """
    raw = features.detach().cpu().double()
    mean, scale = raw.mean(0), scales(raw)
    scaled, labels = (raw - mean) / scale, labels.cpu()
    class_weight = None if weight is None else weight.detach().cpu().double()
    if start is None:
        weights, biases = torch.zeros(num_classes, raw.shape[1]).double(), torch.zeros(num_classes).double()
    else:
        weights = start[0].double() * scale
        biases = start[1].double() + start[0].double() @ mean
    weights.requires_grad_(True)
    biases.requires_grad_(True)
    solver = torch.optim.LBFGS(
        [weights, biases],
        max_iter=MAX_ITERATIONS,
        tolerance_grad=tolerance,
        tolerance_change=1e-12,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        solver.zero_grad()
        logits = F.linear(scaled, weights, biases)
        value = F.cross_entropy(logits, labels, weight=class_weight, label_smoothing=label_smoothing)
        value = value + 0.5 * l2 * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)
    raw_weights = weights.detach() / scale
    return raw_weights.float(), (biases.detach() - raw_weights @ mean).float()


def scales(features: Tensor) -> Tensor:
    """What each of `features` [n, d] is divided by, [d]: its standard deviation, at least the typical one.

    The typical one is the root of the mean variance. Divided by its own, a feature that hardly varies among the
    training images would answer a picture in which it does vary louder than all others together.
    """
    own = features.std(0, correction=0)
    typical = own.square().mean().sqrt()
    return torch.ones_like(own) if typical <= 1e-12 else own.clamp(min=float(typical))


@torch.no_grad()
def solve_head(
    head: nn.Sequential,
    features: Tensor,
    labels: Tensor,
    *,
    l2: float,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> tuple[float, float]:
    """Set the linear layer that ends `head` to what `solve` finds; its loss without the penalty, and its accuracy.

    Both are those of `features`, without the head's dropout. Raises TypeError for a head that ends in something else.
    """
    linear = head[-1]
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"the head ends in {type(linear).__name__}, which is no linear layer")
    with torch.enable_grad():
        solved = solve(
            features, labels, linear.out_features, l2=l2, weight=weight, label_smoothing=label_smoothing
        )
    for parameter, value in zip((linear.weight, linear.bias), solved, strict=True):
        parameter.copy_(value)
    logits = F.linear(features, *solved)
    own = None if weight is None else weight.cpu()
    loss = training_loss((logits,), labels, weight=own, label_smoothing=label_smoothing)
    return float(loss), float((logits.argmax(1) == labels).double().mean())


def choose_l2(
    features: Tensor, labels: Tensor, num_classes: int, folds: Tensor, penalties: Sequence[float] = PENALTIES
) -> tuple[float, float]:
    """Of `penalties` the one with the lowest cross-validated log loss, and that loss in nats per image.

    `folds` int64 [n] says which fold holds an image out; an image of a fold below 0 is in every training part. Of equal
    losses the larger penalty wins. Raises ValueError where nothing is held out.
    """
    sums = dict.fromkeys(sorted(penalties, reverse=True), 0.0)
    held = folds[folds >= 0]
    if len(held) == 0:
        raise ValueError("no image is held out")
    for fold in held.unique().tolist():
        out = folds == fold
        start = None
        # From the strongest penalty down, each solution is near the next.
        for l2 in sums:
            start = solve(
                features[~out], labels[~out], num_classes, l2=l2, start=start, tolerance=SEARCH_TOLERANCE
            )
            sums[l2] += float(
                F.cross_entropy(F.linear(features[out], *start).double(), labels[out], reduction="sum")
            )
    best = min(sums, key=sums.__getitem__)
    return best, sums[best] / len(held)
