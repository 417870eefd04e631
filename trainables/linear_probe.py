"""A linear probe: multinomial logistic regression on features, solved and not trained.

Its loss is the trial's own criterion as a mean over images, plus `l2` / 2 times the sum of the squared weights (not of
the biases) on features with mean 0 and a standard deviation of at most 1 (see `scales`). scikit-learn's C of the same
problem is 1 / (l2 * images).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.losses import training_loss

MAX_ITERATIONS = 500
TOLERANCE = 1e-6
"""Of the largest entry of the gradient, in nats."""

SEARCH_TOLERANCE = 1e-4
"""The same while penalties are compared, which takes no more."""

FEW = 0.7
"""Images for each feature below which a change of coordinates, once for all penalties, pays."""

WORSE = 1.1
"""Weaker penalties are not tried once two in turn are that much worse, in the first fold, than the best so far."""

PENALTIES = tuple(10.0**power for power in range(-4, 3))


@dataclass(frozen=True)
class OutOfFold:
    """What models that have not seen an image's group answer it, at the best penalty `l2`.

    `logits` fp32 [n, num_classes] are NaN for images that no fold holds out; `log_loss` is the mean over the others, in
    nats per image.
    """

    l2: float
    log_loss: float
    logits: Tensor


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
    problem = _Problem(features, labels, num_classes, weight, label_smoothing)
    return problem.as_layer(problem.solve(l2, None if start is None else problem.of_layer(start), tolerance))


class _Problem:
    """One set of images, ready to be solved at several penalties."""

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        num_classes: int,
        weight: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        raw = features.detach().cpu().double()
        self.mean, self.scale = raw.mean(0), scales(raw)
        self.scaled = (raw - self.mean) / self.scale
        self.targets = _targets(labels.cpu(), num_classes, weight, label_smoothing)
        # The solution lies in the span of the images: far fewer images than features need as few coordinates.
        few = len(self.scaled) < FEW * self.scaled.shape[1]
        self.basis = torch.linalg.qr(self.scaled.T).Q if few else None
        self.scaled = self.scaled if self.basis is None else self.scaled @ self.basis

    @torch.no_grad()
    def solve(
        self, l2: float, start: tuple[Tensor, Tensor] | None, tolerance: float
    ) -> tuple[Tensor, Tensor]:
        """Weights [num_classes, coordinates] and biases in the coordinates of `scaled`, from `start` or from zero."""
        shape = (self.targets.shape[1], self.scaled.shape[1] + 1)
        first = torch.zeros(shape).double() if start is None else torch.cat([start[0], start[1][:, None]], 1)
        layer = first.requires_grad_(True)
        share = self.targets.sum(1, keepdim=True)
        solver = torch.optim.LBFGS(
            [layer],
            max_iter=MAX_ITERATIONS,
            tolerance_grad=tolerance,
            tolerance_change=1e-12,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        @torch.no_grad()
        def loss() -> Tensor:
            weights = layer[:, :-1]
            logs = F.log_softmax(self.scaled @ weights.T + layer[:, -1], 1)
            slope = share * logs.exp() - self.targets
            layer.grad = torch.cat([slope.T @ self.scaled + l2 * weights, slope.sum(0)[:, None]], 1)
            return -(self.targets * logs).sum() + 0.5 * l2 * weights.square().sum()

        solver.step(loss)
        found = layer.detach()
        return found[:, :-1], found[:, -1]

    def as_layer(self, solved: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The same as fp32 weights and biases of a layer on raw features."""
        weights, biases = solved
        weights = (weights if self.basis is None else weights @ self.basis.T) / self.scale
        return weights.float(), (biases - weights @ self.mean).float()

    def of_layer(self, layer: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The inverse of `as_layer`, as far as the coordinates reach."""
        weights, biases = (part.double() for part in layer)
        scaled = weights * self.scale
        return scaled if self.basis is None else scaled @ self.basis, biases + weights @ self.mean


def _targets(labels: Tensor, num_classes: int, weight: Tensor | None, label_smoothing: float) -> Tensor:
    """What each image's log probabilities [n, num_classes] count in `F.cross_entropy`, which is minus their sum."""
    own = torch.ones(num_classes).double() if weight is None else weight.detach().cpu().double()
    one = F.one_hot(labels, num_classes).double()
    targets = (1 - label_smoothing) * one * own + label_smoothing / num_classes * own
    return targets / own[labels].sum()


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
    solved = solve(
        features, labels, linear.out_features, l2=l2, weight=weight, label_smoothing=label_smoothing
    )
    for parameter, value in zip((linear.weight, linear.bias), solved, strict=True):
        parameter.copy_(value)
    logits = F.linear(features, *solved)
    own = None if weight is None else weight.cpu()
    loss = training_loss((logits,), labels, weight=own, label_smoothing=label_smoothing)
    return float(loss), float((logits.argmax(1) == labels).double().mean())


def out_of_fold(
    features: Tensor, labels: Tensor, num_classes: int, folds: Tensor, penalties: Sequence[float] = PENALTIES
) -> OutOfFold:
    """The answers to `features` [n, d] at the one of `penalties` that has the lowest cross-validated log loss.

    `folds` int64 [n] says which fold holds an image out; an image of a fold below 0 is in every training part. Of equal
    losses the larger penalty wins. That one penalty of seven was chosen by the same images makes the loss too good by
    very little. Raises ValueError where nothing is held out.
    """
    held = folds >= 0
    if not held.any():
        raise ValueError("no image is held out")
    path = sorted(penalties, reverse=True)
    answers = {l2: torch.full((len(labels), num_classes), math.nan) for l2 in path}
    for number, fold in enumerate(folds[held].unique().tolist()):
        out = folds == fold
        problem, solved = _Problem(features[~out], labels[~out], num_classes), None
        losses: list[float] = []
        # From the strongest penalty down, each solution is near the next.
        for l2 in path:
            solved = problem.solve(l2, solved, SEARCH_TOLERANCE)
            answers[l2][out] = F.linear(features[out], *problem.as_layer(solved))
            losses.append(_mean_loss(answers[l2][out], labels[out]))
            if number == 0 and min(losses[-2:]) > WORSE * min(losses):
                break
        path = path[: len(losses)]
    found = {l2: _mean_loss(answers[l2][held], labels[held]) for l2 in path}
    best = min(found, key=found.__getitem__)
    return OutOfFold(best, found[best], answers[best])


def _mean_loss(logits: Tensor, labels: Tensor) -> float:
    return float(F.cross_entropy(logits.double(), labels))


def choose_l2(
    features: Tensor, labels: Tensor, num_classes: int, folds: Tensor, penalties: Sequence[float] = PENALTIES
) -> tuple[float, float]:
    """The penalty and the log loss of `out_of_fold`."""
    found = out_of_fold(features, labels, num_classes, folds, penalties)
    return found.l2, found.log_loss
