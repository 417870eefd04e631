"""More images: what twice as many would gain, of all classes and of each alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuner.advice.fine_tuned import two_sizes
from tuner.advice.heads import STEPS, Answered, Images, class_halves, heads_on, shares_of, subsets
from tuner.advice.line import Found, Line, Unknown, gain_of
from tuner.advice.material import Material
from tuner.statistics.learning_curve import FEWEST_GROUPS, Curve, Gain, Point, fit_curve
from tuner.statistics.means import error_of_mean

__all__ = ["Curves", "class_gain", "curves_of", "more_images", "points_of"]

KIND, CLASS_KIND = "images", "class"

CLASSES = 4
"""Classes that are looked at alone, those that bear most of the loss: each takes twenty heads on nearly all images."""

FEWEST_OF_CLASS = 4
"""Groups of a class below which a half of them says nothing."""

NEXT, INEXACT_NEXT = 0.6, 0.25
"""What the next doubling of a class gains over what the last one did, and by how much of that it may be off: chosen on
two sets and shown on a third, in `benchmarks/statistics/advice.py`."""

FROZEN_CURVE = "heads on a frozen backbone show this, fine-tuning may gain more or less"


@dataclass(frozen=True)
class Curves:
    """The learning curves of the log loss and of the share of wrong answers, and the groups that judge them."""

    loss: Curve
    wrong: Curve


def more_images(found: Material) -> list[Found]:
    """What twice the images would gain, then what twice those of each class would."""
    images = found.images
    groups = len(np.unique(images.groups[images.held]))
    if groups < FEWEST_GROUPS:
        reason = f"{groups} {found.unit}s are too few for a learning curve; it takes {FEWEST_GROUPS}"
        return [Unknown(KIND, reason)]
    curves = curves_of(images, found.frozen)
    if curves is None:
        reason = (
            f"most classes have fewer than five {found.unit}s, too few to be divided for a learning curve"
        )
        return [Unknown(KIND, reason)]
    return [_all_classes(found, curves), *_single_classes(found)]


def curves_of(images: Images, full: Answered) -> Curves | None:
    """The curves up to `full`, the answers of heads on all groups; None where classes have too few groups."""
    if len(shares_of(images)) < 3:
        return None
    losses, wrong = points_of(images, full)
    groups = images.groups[images.held]
    return Curves(fit_curve(losses, groups), fit_curve(wrong, groups))


def points_of(images: Images, full: Answered) -> tuple[list[Point], list[Point]]:
    """The log losses and the errors, 1 or 0, of the images at each size, `full` being the last."""
    losses, wrong = [], []
    for share in shares_of(images)[:-1]:
        answers = [heads_on(images, among, steps=STEPS) for among in subsets(images, share)]
        losses.append(Point(share, np.stack([one.losses for one in answers])))
        wrong.append(Point(share, np.stack([one.wrong for one in answers])))
    return [*losses, Point(1.0, full.losses[None])], [*wrong, Point(1.0, full.wrong[None])]


def class_gain(images: Images, full: Answered, label: int) -> tuple[Gain, Gain]:
    """What twice the groups of class `label` would gain in log loss and in accuracy, the other classes as they are.

    Half of its groups are left out, each half once, at the class's present weight in training; the next doubling gains
    a share of what the other half gains then. All images judge, at the present shares of the classes.
    """
    halves = without_halves(images, label)
    groups = images.groups[images.held]
    return (
        carried_on([one.losses for one in halves], full.losses, groups),
        carried_on([one.wrong for one in halves], full.wrong, groups),
    )


def without_halves(images: Images, label: int) -> list[Answered]:
    """What heads answer without one half of the groups of class `label`, then without the other."""
    weight = np.where(np.arange(len(images.classes)) == label, 2.0, 1.0)
    return [heads_on(images, among, weight=weight, steps=STEPS) for among in class_halves(images, label)]


def carried_on(halves: Sequence[np.ndarray], full: np.ndarray, groups: np.ndarray) -> Gain:
    """What a doubling gains, by what the last one did: losses without either of the `halves`, and with all images."""
    gained = np.mean(halves, axis=0) - full
    mean = float(gained.mean())
    luck = float(np.var([one.mean() for one in halves], ddof=1))
    # One draw of twice as many will have half the luck of one of these halves, this one has two of them.
    error = np.hypot(error_of_mean(gained, groups), np.sqrt(luck / 2 + luck / 4))
    return _doubled(mean, float(error))


def _doubled(gained: float, error: float) -> Gain:
    """What the next doubling gains where the last one gained as much, with this standard error."""
    return gain_of(NEXT * gained, float(np.hypot(NEXT * error, INEXACT_NEXT * gained)))


def _all_classes(found: Material, curves: Curves) -> Line:
    groups = len(set(found.pool.groups))
    told = _as_many(found, len(found.pool), groups)
    sizes = ", ".join(
        f"{mean:.3f} with {_part(share)}"
        for share, mean in zip(curves.loss.shares, curves.loss.means, strict=True)
    )
    head = f"of a head solved on {found.images_of} the log loss is {sizes} of the {found.unit}s"
    why = f"{head}; {FROZEN_CURVE}"
    doubled, fewer_wrong = curves.loss.doubled, curves.wrong.doubled
    if (tuned := fine_tuned_gain(found)) is not None:
        doubled, fewer_wrong = tuned, fewer_wrong
        why = f"{head}; the fine-tuned trial's, from two sizes"
    return Line(KIND, f"collect {told} more", why, doubled, fewer_wrong, {"images": len(found.pool)})


def _part(share: float) -> str:
    return "all" if share == 1 else f"1/{round(1 / share)}"


def _as_many(found: Material, images: int, groups: int) -> str:
    if found.unit == "group":
        return f"{groups:,} groups ({images:,} images)"
    return f"{images:,} images"


def _single_classes(found: Material) -> list[Found]:
    images, full = found.images, found.frozen
    if len(images.classes) < 2:
        return []
    borne = np.bincount(full.labels, weights=full.losses, minlength=len(images.classes))
    lines: list[Found] = []
    for label in np.argsort(-borne)[:CLASSES].tolist():
        own = images.labels == label
        groups = len(np.unique(images.groups[own]))
        name = images.classes[label]
        if groups < FEWEST_OF_CLASS:
            reason = f"{name!r} has {groups} {found.unit}s, too few to say what more of it would gain"
            lines.append(Unknown(CLASS_KIND, reason))
            continue
        loss, wrong = class_gain(images, full, label)
        count = int(own.sum())
        why = (
            f"its images bear {borne[label] / full.losses.sum():.0%} of the loss; measured by leaving out a half of"
            f" them; {FROZEN_CURVE}"
        )
        told = _as_many(found, count, groups)
        lines.append(
            Line(CLASS_KIND, f"collect {told} more of {name!r}", why, loss, wrong, {"images": count})
        )
    return lines


APART = 1.5
"""Times as many images that a fold's training must have had as another's, to say how fine-tuning goes with them."""


def fine_tuned_gain(found: Material) -> Gain | None:
    """What twice the images would gain the chosen fine-tuned trial, where its folds trained on two sizes; else None.

    The folds are answered by trainings of different sizes: the validation images by all training images, the other
    folds by what is left without them. How far the trial is ahead of the frozen head on the larger and on the smaller
    size says what a doubling gained it beside the head, whose training has one size.
    """
    sizes = two_sizes(found)
    if sizes is None or sizes.ratio < APART:
        return None
    doublings = float(np.log2(sizes.ratio))
    return _doubled(sizes.gained / doublings, sizes.error / doublings)
