"""A Gaussian process over whole learning curves that knows that a curve's epochs share one trial's luck.

The log loss of epoch t of configuration c is f(c, t) + u(c) + e(c, t): a smooth function of what the row says (Matern
3/2, a length scale for each feature), the persistent luck of the trials that were recorded of c, and what scatters
from epoch to epoch. Only f is predicted. Without u, ten epochs of one lucky trial would count as ten witnesses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

LEARNED_FROM = 45
"""Curves from which the length scales are learned; all are learned from once these are known."""

STEPS = 60
ROWS_AT_ONCE, ASKED_AT_ONCE = 128, 4096
"""Of the covariance, and of what is predicted: memory is that of the covariance and of its factor, 16 bytes a pair."""

USUAL_SCALE = 3.0
"""Where the length scales of standardised features are expected; by a factor e to either side is nothing unusual."""

MISFIT = 0.02
"""What f can't follow, as a standard deviation of log loss, at least."""


@dataclass(frozen=True)
class Noise:
    """Standard deviations of log losses: `trial` from seed to seed, the same in all its epochs; `epoch` within one.

    `split` is how far the validation images like a configuration better than others would, the same for each seed.
    Null where the recordings don't tell.
    """

    epoch: float
    trial: float | None = None
    split: float | None = None

    @property
    def persistent(self) -> float:
        """What one trial's epochs have in common; of a part that is not known nothing."""
        return math.hypot(self.trial or 0.0, self.split or 0.0)


@dataclass(frozen=True)
class Shape:
    """What is learned of f: an amplitude, a length scale for each feature, and the deviations that are no part of f."""

    amplitude: float
    scales: np.ndarray
    persistent: float
    misfit: float


@dataclass(frozen=True)
class CurveProcess:
    """The posterior mean of f: `rows` [n, d] standardised and `weights` [n]."""

    shape: Shape
    rows: np.ndarray
    weights: np.ndarray
    middle: np.ndarray
    spread: np.ndarray
    mean: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The smooth part at `features` [m, d]: log losses [m]."""
        asked = (features - self.middle) / self.spread / self.shape.scales
        known = self.rows / self.shape.scales
        parts = [asked[start : start + ASKED_AT_ONCE] for start in range(0, len(asked), ASKED_AT_ONCE)]
        return np.concatenate([self._smooth(part, known) for part in parts])

    def _smooth(self, asked: np.ndarray, known: np.ndarray) -> np.ndarray:
        squares = (asked**2).sum(1)[:, None] + (known**2).sum(1)[None] - 2 * asked @ known.T
        kernel = _matern(np.sqrt(np.maximum(squares, 0.0)), np.exp) * self.shape.amplitude
        return kernel @ self.weights + self.mean

    @classmethod
    def learn(
        cls,
        features: Sequence[np.ndarray],
        losses: Sequence[np.ndarray],
        repeats: Sequence[int],
        noise: Noise,
        shape: Shape | None = None,
    ) -> Self:
        """From the `features` [t, d] and mean log losses [t] of curves, each over so many `repeats` under other seeds.

        A given `shape` is taken as it is, else it is learned; what `noise` knows of the trials' luck stays fixed.
        """
        rows, targets = np.concatenate(features), np.concatenate(losses)
        middle, spread, mean = rows.mean(0), rows.std(0) + 1e-9, float(targets.mean())
        rows = (rows - middle) / spread
        curve = np.repeat(np.arange(len(features)), [len(own) for own in features])
        shares = 1 / np.array(repeats, dtype=float)[curve]
        if shape is None:
            some = np.isin(curve, np.random.default_rng(0).permutation(len(features))[:LEARNED_FROM])
            shape = _learned(rows[some], targets[some] - mean, curve[some], shares[some], noise)
        factor = torch.linalg.cholesky(_whole(torch.from_numpy(rows), curve, shares, noise, _tensors(shape)))
        weights = torch.cholesky_solve(torch.from_numpy(targets - mean)[:, None], factor)[:, 0]
        return cls(shape, rows, weights.numpy(), middle, spread, mean)


def _matern(distance: Any, exponential: Any) -> Any:
    return (1 + math.sqrt(3) * distance) * exponential(-math.sqrt(3) * distance)


def _tensors(shape: Shape) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    values = (shape.amplitude, shape.scales, shape.persistent, shape.misfit)
    amplitude, scales, persistent, misfit = (torch.as_tensor(value, dtype=torch.float64) for value in values)
    return amplitude, scales, persistent, misfit


def _covariance(
    rows: Tensor, curve: np.ndarray, shares: np.ndarray, noise: Noise, shape: tuple[Tensor, ...]
) -> Tensor:
    """Of the mean log losses of `rows` [n, d]: f's, the trials' luck within a curve, the epochs' on the diagonal."""
    return _some_rows(slice(None), rows, curve, shares, noise, shape) + torch.diag(_own(shares, noise, shape))


def _own(shares: np.ndarray, noise: Noise, shape: tuple[Tensor, ...]) -> Tensor:
    """What stands on the diagonal alone: the epochs' noise, and what f can't follow."""
    return noise.epoch**2 * torch.from_numpy(shares) + shape[-1] ** 2


def _whole(
    rows: Tensor, curve: np.ndarray, shares: np.ndarray, noise: Noise, shape: tuple[Tensor, ...]
) -> Tensor:
    """The same without a gradient, put together from parts: differences of all pairs at once take n * n * d numbers."""
    count = len(rows)
    covariance = torch.empty((count, count), dtype=rows.dtype)
    for start in range(0, count, ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        covariance[some] = _some_rows(some, rows, curve, shares, noise, shape)
    covariance.diagonal().add_(_own(shares, noise, shape))
    return covariance


def _some_rows(
    some: slice, rows: Tensor, curve: np.ndarray, shares: np.ndarray, noise: Noise, shape: tuple[Tensor, ...]
) -> Tensor:
    """Some rows of the covariance, but for what stands on its diagonal alone."""
    amplitude, scales, persistent, _ = shape
    scaled = rows / scales
    squares = (scaled[some, None] - scaled[None]).square().sum(-1)
    smooth = amplitude * _matern((squares + 1e-12).sqrt(), torch.exp)
    share = torch.from_numpy(shares)
    same = torch.from_numpy(curve[some, None] == curve[None])
    # The validation images are the same for every repeat, so that part does not shrink with their number.
    split = (noise.split or 0.0) ** 2
    luck = torch.where(same, split + (persistent**2 - split).clamp(min=0.0) * share, torch.zeros_like(share))
    return smooth + luck


def _learned(
    rows: np.ndarray, targets: np.ndarray, curve: np.ndarray, shares: np.ndarray, noise: Noise
) -> Shape:
    """The shape of largest marginal likelihood, with a log-normal prior on the length scales."""
    inputs, outputs = torch.from_numpy(rows), torch.from_numpy(targets)
    known = noise.trial is not None
    start = [math.log(max(float(targets.var()), 1e-3)), math.log(max(noise.persistent, 0.05)), math.log(0.05)]
    free = torch.tensor([*start, *[math.log(USUAL_SCALE)] * rows.shape[1]], dtype=torch.float64)
    free.requires_grad_()

    def shape() -> tuple[Tensor, Tensor, Tensor, Tensor]:
        luck = torch.tensor(noise.persistent, dtype=torch.float64) if known else free[1].exp()
        return free[0].exp(), free[3:].exp(), luck, MISFIT + free[2].exp()

    def loss() -> Tensor:
        optimizer.zero_grad()
        factor = torch.linalg.cholesky(_covariance(inputs, curve, shares, noise, shape()))
        solved = torch.linalg.solve_triangular(factor, outputs[:, None], upper=False)
        value = 0.5 * solved.square().sum() + factor.diagonal().log().sum()
        value = (
            value
            + 0.5 * (free[3:] - math.log(USUAL_SCALE)).square().sum()
            + 0.5 * free[:3].square().sum() / 9
        )
        value.backward()
        return value

    optimizer = torch.optim.LBFGS([free], max_iter=STEPS, line_search_fn="strong_wolfe")
    optimizer.step(loss)
    with torch.no_grad():
        amplitude, scales, persistent, misfit = shape()
    return Shape(float(amplitude), scales.numpy().copy(), float(persistent), float(misfit))


def without_luck(noise: Noise) -> Noise:
    """Recordings that hold expected losses have none of it."""
    return replace(noise, epoch=0.0, trial=0.0, split=0.0)
