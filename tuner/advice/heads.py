"""Heads that are solved on a part of the images, and what they answer the others: the ground of several lines.

A head is a linear layer on the frozen backbone's features. It is solved on an eighth, a quarter, a half and all of the
groups, always without the fold whose images it answers, at the penalty that suits its size. That makes hundreds of
heads; so they are solved on the first `COMPONENTS` principal components of the features, by scikit-learn, in
milliseconds each. The problem is that of `trainables.linear_probe`: features scaled alike, the same penalty.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tuner.statistics.groups import group_codes, grouped_folds
from tuner.statistics.intervals import FloatArray
from tuner.statistics.learning_curve import SHARES
from tuner.statistics.log_loss import log_losses

__all__ = [
    "Answered",
    "Images",
    "best_penalty",
    "class_halves",
    "compressed",
    "heads_on",
    "mask_by_fold",
    "shares_of",
    "subsets",
]

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

COMPONENTS = 128

DRAWS = {0.125: 4, 0.25: 4, 0.5: 2}
"""So many draws of a size, none of which share a group: the smaller ones are cheaper and vary more."""

COVERED = 0.9
"""Share of the images that belong to classes with a group in every draw of a size, at least; else it is left out."""

STEPS = (1.0, 10.0)
"""Penalties that are tried for smaller sizes, in units of the one for all images: fewer images want larger ones."""

JUDGES = 2_000
"""Images that judge, at least: of many images one fold says what five would, in a fifth of the time."""

PENALTIES = (1.0, 0.1, 0.01, 0.001)
"""Where no probe says which."""

TOLERANCE, MAX_ITERATIONS = 1e-3, 300

ABSENT = -30.0
"""The logit of a class that no training image has."""


@dataclass(frozen=True)
class Images:
    """The images of training and validation: compressed features [n, k], class numbers [n], groups [n]; the penalty."""

    features: FloatArray
    labels: Ints
    groups: npt.NDArray[np.str_]
    classes: tuple[str, ...]
    l2: float
    seed: int

    @cached_property
    def folds(self) -> Ints:
        """The fold [n] that holds an image out; below 0 for one that is in every training part."""
        return grouped_folds(self.labels, self.groups.tolist(), self.seed)

    @cached_property
    def numbers(self) -> list[int]:
        """The folds that hold images out."""
        return [int(fold) for fold in np.unique(self.folds[self.folds >= 0])]

    @cached_property
    def judging(self) -> list[int]:
        """The folds whose images are answered: all, or the first with at least `JUDGES` images together."""
        images = np.cumsum([(self.folds == fold).sum() for fold in self.numbers])
        return self.numbers[: 1 + int((images < JUDGES).sum())]

    @property
    def held(self) -> Mask:
        """Which images [n] are in a fold that is answered: those that judge."""
        return np.isin(self.folds, self.judging)

    def training(self, fold: int) -> Mask:
        """Which images [n] train where a fold is held out."""
        return np.asarray(self.folds != fold, dtype=np.bool_)


@dataclass(frozen=True)
class Answered:
    """What the images that are held out got: logits [m, classes], and their class numbers [m]."""

    logits: FloatArray
    labels: Ints

    @cached_property
    def losses(self) -> FloatArray:
        """The log loss [m] in nats."""
        return log_losses(self.logits, self.labels)

    @cached_property
    def wrong(self) -> FloatArray:
        """1 for an image whose class was not named, else 0; [m]."""
        return np.asarray(self.logits.argmax(1) != self.labels, dtype=np.float64)


def compressed(features: npt.NDArray[np.float32]) -> FloatArray:
    """The first principal components [n, k] of `features` [n, d], each feature scaled as a head scales it."""
    import torch

    from trainables.linear_probe import scales

    raw = features.astype(np.float64)
    scaled = (raw - raw.mean(axis=0)) / scales(torch.from_numpy(raw)).numpy()
    kept = min(COMPONENTS, *scaled.shape)
    wide = scaled.shape[1] > scaled.shape[0]
    values, vectors = np.linalg.eigh(scaled @ scaled.T if wide else scaled.T @ scaled)
    first = vectors[:, ::-1][:, :kept]
    if not wide:
        return np.asarray(scaled @ first)
    return np.asarray(first * np.sqrt(np.maximum(values[::-1][:kept], 0.0)))


def heads_on(
    images: Images,
    among: Mapping[int, Mask] | None = None,
    *,
    weight: FloatArray | None = None,
    steps: Sequence[float] = (1.0,),
) -> Answered:
    """What heads answer that were solved on those images of each fold's training part that are `among` it.

    The best of the penalties `steps` times that of all images counts; `weight` [classes] are the classes' weights.
    """
    from threadpoolctl import threadpool_limits

    answers = []
    # Problems as small as these are solved fastest on one core.
    with threadpool_limits(limits=1):
        for step in steps:
            logits = np.full((int(images.held.sum()), len(images.classes)), np.nan)
            judges = images.folds[images.held]
            for fold in images.judging:
                train = images.training(fold) if among is None else among[fold]
                out = images.folds == fold
                logits[judges == fold] = solved(images, train, out, step * images.l2, weight)
            answers.append(Answered(logits, images.labels[images.held]))
    return min(answers, key=lambda one: float(one.losses.mean()))


def best_penalty(images: Images) -> float:
    """The one of `PENALTIES` with which heads lose least, out of fold."""
    losses = {l2: float(heads_on(replace(images, l2=l2)).losses.mean()) for l2 in PENALTIES}
    return min(losses, key=losses.__getitem__)


def solved(
    images: Images, train: Mask, asked: Mask, l2: float, weight: FloatArray | None = None
) -> FloatArray:
    """The logits [m, classes] of the images `asked` [n] by a head that was solved on the images `train` [n]."""
    from sklearn.linear_model import LogisticRegression

    own = images.labels[train]
    known = np.unique(own)
    logits = np.full((int(asked.sum()), len(images.classes)), ABSENT)
    if len(known) == 1:
        logits[:, known[0]] = -ABSENT
        return logits
    # Two classes have one weight vector there and two here, which bear half of the penalty each.
    penalty = l2 / 2 if len(known) == 2 else l2
    each = np.ones(len(own)) if weight is None else weight[own] * len(own) / weight[own].sum()
    head = LogisticRegression(C=1 / (penalty * len(own)), tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        # Nearly converged is good enough, and a few images of each of many classes are no regression.
        warnings.simplefilter("ignore")
        head.fit(images.features[train], own, each)
    scores = head.decision_function(images.features[asked])
    logits[:, known] = np.stack([np.zeros_like(scores), scores], 1) if scores.ndim == 1 else scores
    return logits


def mask_by_fold(images: Images, kept: Mask) -> dict[int, Mask]:
    """By fold the images [n] of its training part that are `kept` [n]."""
    return {fold: images.training(fold) & kept for fold in images.judging}


def shares_of(images: Images) -> tuple[float, ...]:
    """The sizes of `SHARES` at which most classes still have a group in every draw."""
    counts = _groups_of_classes(images) * (1 - 1 / max(2, len(images.numbers)))
    sizes = np.bincount(images.labels, minlength=len(images.classes))
    return tuple(
        share for share in SHARES if share == 1 or sizes[counts >= 1 / share].sum() >= COVERED * sizes.sum()
    )


def subsets(images: Images, share: float) -> Iterator[dict[int, Mask]]:
    """By fold which images [n] train, for each draw of `share` of the groups of the fold's training part."""
    dealt = {fold: _dealt(images, images.training(fold), round(1 / share)) for fold in images.judging}
    for draw in range(DRAWS[share]):
        yield {fold: _with_every_class(images, parts, draw) for fold, parts in dealt.items()}


def class_halves(images: Images, label: int) -> Iterator[dict[int, Mask]]:
    """By fold which images [n] train where a half of the groups of class `label` is left out; both halves in turn."""
    dealt = {fold: _dealt(images, images.training(fold), 2) for fold in images.judging}
    own = images.labels == label
    for draw in range(2):
        yield {
            fold: images.training(fold) & (~own | (parts == draw) | (parts == ALWAYS))
            for fold, parts in dealt.items()
        }


ALWAYS, NEVER = -1, -2


def _dealt(images: Images, training: Mask, parts: int) -> Ints:
    """The part [n] of each training image, whole groups, classes spread; ALWAYS: the only group of its class."""
    found = np.full(len(training), NEVER, dtype=np.int64)
    seed = images.seed + 1000 * parts
    found[training] = grouped_folds(images.labels[training], images.groups[training].tolist(), seed, parts)
    return found


def _with_every_class(images: Images, dealt: Ints, draw: int) -> Mask:
    """Those dealt to `draw`, and of a class that has none the group that was dealt first."""
    found = np.asarray((dealt == draw) | (dealt == ALWAYS), dtype=np.bool_)
    for label in np.setdiff1d(images.labels[dealt != NEVER], images.labels[found]):
        own = np.flatnonzero((images.labels == label) & (dealt != NEVER))
        first = images.groups[own[np.argmin(dealt[own])]]
        found |= (images.groups == first) & (dealt != NEVER)
    return found


def _groups_of_classes(images: Images) -> Ints:
    """How many groups [classes] have an image of each class."""
    pairs = np.unique(np.stack([images.labels, group_codes(images.groups)]), axis=1)
    return np.bincount(pairs[0], minlength=len(images.classes))
