"""How unlike the training images a picture is, from what the stages of the network put out.

Features are the means over all places of what each stage but the last puts out: what the last one passes on is what
tells the classes apart, and a cat is one of them there (Lee et al. 2018, A simple unified framework for detecting
out-of-distribution samples, take all layers for the same reason). They are projected on the principal components of
the training images, each scaled to standard deviation 1; what the projection leaves out is one more coordinate, the
length of the residual, which catches pictures of quite other things (Wang et al. 2022, ViM). In that space strangeness
is one of two measures:

nearest     the distance to the 5th nearest training image (Sun et al. 2022, Out-of-distribution detection with deep
            nearest neighbors)
gaussian    the Mahalanobis distance to the nearest class mean, one covariance for all classes (Lee et al.)

Which one is settled by leaving out each class in turn: a measure fitted without the class shall tell its validation
images from those of the others. Strangeness is divided by its 99 % quantile over the validation images, so that 1 is
the threshold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainables.data.cache import ImageCache
from trainables.inference import over_images
from trainables.models.classifier import Classifier, channels_first
from tuner.statistics.auroc import area

__all__ = [
    "MEASURES",
    "StrangerScore",
    "Strangers",
    "compute_means",
    "features_and_means",
    "fit_measure",
    "fit_strangers",
    "sampled",
    "strangeness",
]

MEASURES = ("nearest", "gaussian")
COMPONENTS = 64
NEIGHBOUR = 5
MOST = 2000
"""Images of a part whose features are computed, at most; a random choice of more."""

BANK = 1000
"""Training images that `nearest` compares with, at most: a random choice of so many says nearly the same."""

FEWEST = 5
"""Validation images of a class from which on it is left out in turn."""

RIDGE = 1e-3
"""Added to the variances, as a share of 1, so that a covariance from few images can be inverted."""

Ints = npt.NDArray[np.int64]


def sampled(count: int) -> npt.NDArray[np.bool_]:
    """Which of `count` images of a part the measure is fitted to [count]: all, or `MOST` of them at random.

    >>> sampled(3)
    array([ True,  True,  True])
    """
    chosen: npt.NDArray[np.bool_] = np.isin(
        np.arange(count), np.random.default_rng(0).permutation(count)[:MOST]
    )
    return chosen


def features_and_means(classifier: Classifier, images: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """What `classifier.features` returns for normalised `images` [b, 3, s, s], and the stages' means [b, m] beside it.

    The last stage is left out where there are others.
    """
    parts: list[Tensor] = []

    def note(module: nn.Module, inputs: object, output: Any) -> None:
        tensor = output[0] if isinstance(output, (tuple, list)) else output
        parts.append(_means(channels_first(tensor, classifier.layout).float()))

    seen = [stage.modules[-1] for stage in classifier.stages[:-1] or classifier.stages]
    handles = [module.register_forward_hook(note) for module in seen]
    try:
        features = classifier.features(images)
    finally:
        for handle in handles:
            handle.remove()
    return features, torch.cat(parts, 1)


def _means(output: Tensor) -> Tensor:
    """The mean [b, c] of a picture [b, c, h, w] or of tokens [b, n, c] over their places; a vector [b, c] as it is."""
    if output.dim() == 4:
        return output.mean((2, 3))
    return output.mean(1) if output.dim() == 3 else output


class StrangerScore(nn.Module):
    """Means of the stages [b, d] to strangeness [b]; `scale` is what the raw distance is divided by."""

    mean: Tensor
    projection: Tensor
    residual: Tensor
    bank: Tensor
    whitener: Tensor
    scale: Tensor

    def __init__(self, measure: str, tensors: Mapping[str, Tensor]) -> None:
        """Hold the tensors of `fit_measure`: mean [d], projection [d, k], residual [], bank [m, k + 1], whitener."""
        super().__init__()
        self.measure = measure
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.float().clone())
        self.register_buffer("scale", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """How unlike the training images each row is: from 0 up, 1 being the threshold at 99 % of validation."""
        centred = features.float() - self.mean
        coordinates = centred @ self.projection
        # What the projection leaves out: its columns are orthogonal, each divided by a standard deviation.
        lengths = self.projection.square().sum(0)
        rest = centred - (coordinates / lengths) @ self.projection.T
        # A sum of squares under a root: 0 has no slope, and none is needed.
        beside = rest.square().sum(1, keepdim=True).sqrt() / self.residual
        point = torch.cat([coordinates, beside], 1) @ self.whitener
        distances = (point[:, None, :] - self.bank[None]).square().sum(2)
        if self.measure == "gaussian":
            return distances.amin(1).sqrt() / self.scale
        count = min(NEIGHBOUR, self.bank.shape[0])
        return distances.topk(count, dim=1, largest=False).values[:, count - 1].sqrt() / self.scale


@dataclass(frozen=True)
class Strangers:
    """A fitted measure of strangeness with what is known of it.

    `at_95` is the strangeness that 95 % of the validation images stay below, in units of that of 99 %. `left_out` is,
    for each measure, by class, how well it told that class when fitted without it: the area under the ROC curve over
    validation images, for classes with enough of them. `validation` counts the images that the thresholds are from.
    """

    score: StrangerScore
    measure: str
    at_95: float
    validation: int
    left_out: Mapping[str, Mapping[str, float]]


def fit_strangers(
    train: Tensor, labels: Ints, val: Tensor, val_labels: Ints, classes: tuple[str, ...], seed: int = 0
) -> Strangers:
    """The better measure on the features `train` [n, d] of classes `labels` [n], its thresholds from `val` [m, d].

    Of measures that are alike, or where no class can be left out, gaussian is taken, which is smaller.
    """
    left_out: dict[str, dict[str, float]] = {measure: {} for measure in MEASURES}
    for code, label in enumerate(classes):
        others, mine, rest = labels != code, val_labels == code, val_labels != code
        if mine.sum() < FEWEST or rest.sum() < FEWEST or others.sum() < FEWEST:
            continue
        for measure in MEASURES:
            score = fit_measure(measure, train[torch.from_numpy(others)], labels[others], seed)
            left_out[measure][label] = area(mine, strangeness(score, val).numpy())
    means = {measure: float(np.mean(list(found.values()) or [0.5])) for measure, found in left_out.items()}
    best = "nearest" if means["nearest"] > means["gaussian"] else "gaussian"
    score = fit_measure(best, train, labels, seed)
    raw = strangeness(score, val)
    at_95, at_99 = np.quantile(raw.numpy(), [0.95, 0.99]).tolist()
    score.scale.fill_(max(at_99, 1e-6))
    return Strangers(score, best, at_95 / max(at_99, 1e-6), len(val), left_out)


def fit_measure(measure: str, train: Tensor, labels: Ints, seed: int = 0) -> StrangerScore:
    """The measure on features `train` [n, d] of classes `labels` [n], not scaled yet."""
    features = train.double()
    mean = features.mean(0)
    centred = features - mean
    kept = min(COMPONENTS, features.shape[1], max(1, len(features) // 4))
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(features))
    values, vectors = values.flip(0)[:kept], vectors.flip(1)[:, :kept]
    real = values > 1e-9 * values[0].clamp_min(1e-30)
    projection = vectors[:, real] / values[real].sqrt()
    coordinates = centred @ projection
    rest = (centred - (coordinates * values[real].sqrt()) @ vectors[:, real].T).norm(dim=1)
    # As the other coordinates: the typical residual has length 1, unless it is but rounding.
    least = 1e-3 * centred.norm(dim=1).square().mean().sqrt() + 1e-6
    residual = torch.maximum(rest.square().mean().sqrt(), least)
    points = torch.cat([coordinates, (rest / residual)[:, None]], 1)
    whitener = torch.eye(points.shape[1], dtype=torch.float64)
    if measure == "gaussian":
        codes = np.unique(labels)
        means = torch.stack([points[torch.from_numpy(labels == code)].mean(0) for code in codes])
        within = points - means[torch.from_numpy(np.searchsorted(codes, labels))]
        covariance = within.T @ within / len(points) + RIDGE * torch.eye(points.shape[1], dtype=torch.float64)
        # The inverse's root, so that distances to the means are Euclidean.
        whitener = torch.linalg.cholesky(torch.linalg.inv(covariance))
        bank = means @ whitener
    else:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(points))[:BANK])
        bank = points[torch.from_numpy(chosen)]
    tensors = {
        "mean": mean,
        "projection": projection,
        "residual": residual,
        "bank": bank,
        "whitener": whitener,
    }
    return StrangerScore(measure, tensors)


@torch.no_grad()
def strangeness(score: StrangerScore, features: Tensor, batch: int = 64) -> Tensor:
    """The strangeness [n] of `features` [n, d], in batches."""
    return torch.cat([score(part) for part in features.split(batch)])


@torch.inference_mode()
def compute_means(
    classifier: Classifier,
    cache: ImageCache,
    rows: npt.NDArray[np.int64],
    image_size: int,
    device: torch.device,
    batch_size: int = 64,
) -> Tensor:
    """The stages' means, float32 [n, d], of the cached images `rows`, computed in fp32.

    Where memory runs out it starts over with half the batch.
    """

    def means(network: Classifier, images: Tensor) -> Tensor:
        return features_and_means(network, images)[1]

    return over_images(classifier, means, cache, rows, image_size, device, batch_size)
