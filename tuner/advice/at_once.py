"""What is to be had at once: an ensemble of the kept trials, and the average of the folds' models."""

import math

import numpy as np

from tuner.advice.heads import Images, solved
from tuner.advice.line import Found, Line, Unknown, nothing, paired_gain
from tuner.advice.material import Material, losses_of
from tuner.statistics.calibration import mean_logits
from tuner.statistics.intervals import FloatArray
from tuner.tuning.judgement import decide

__all__ = ["averaged_folds", "ensemble"]

KIND, FOLDS_KIND = "ensemble", "folds"

OUTER = 2
"""Folds whose images judge the average of the others' models, at most: two fifths of the images."""


def ensemble(found: Material) -> list[Found]:
    """What the ensemble that the run would ship gains over the chosen trial alone.

    Its members are chosen by some folds of the images and judged by the others, so that choosing them flatters nothing.
    """
    candidates = found.candidates
    if len(candidates) < 2:
        return [Unknown(KIND, "fewer than two trials have answered enough images, and an ensemble takes two")]
    verdict = decide(candidates, found.judges)
    by_name = {one.trial_id: one for one in candidates}
    own = by_name[verdict.chosen]
    if verdict.mixture is None:
        why = (
            f"of {len(candidates)} trials no average is better than {own.trial_id} alone by more than the standard"
            f" error, on the {int(own.answered().sum()):,} images that chose it"
        )
        return [Line(KIND, "ship one model, no ensemble", why, nothing(), nothing(), {"milliseconds": 0.0})]
    mixed, members = verdict.mixture.logits, list(verdict.mixture.votes)
    known = own.answered() & np.isfinite(mixed).all(axis=1)
    labels, groups = found.pool.numbers[known], found.groups[known]
    now, then = (losses_of(logits[known], labels, groups) for logits in (own.logits, mixed))
    loss, accuracy = (paired_gain(a, b, groups) for a, b in zip(now, then, strict=True))
    do = f"ship the ensemble of {len(members)} trials"
    why = (
        f"on {len(labels):,} images, each answered by models that have not seen its group, and by an average whose"
        f" members other images chose; all of them choose {', '.join(members)}"
    )
    costs = [one.cost for one in (*(by_name[name] for name in members), own)]
    cost = {} if any(map(math.isnan, costs)) else {"milliseconds": sum(costs[:-1]) - costs[-1]}
    return [Line(KIND, do, why, loss, accuracy, cost)]


def averaged_folds(found: Material) -> list[Found]:
    """What the average of the folds' models would gain over one model, as heads on frozen features show it.

    An image has to be judged by models none of which has seen it: of the folds but its own, each is left out once, and
    the probabilities of the heads on the others are averaged.
    """
    images = found.images
    numbers = images.numbers
    if len(numbers) < OUTER + 2:
        return [Unknown(FOLDS_KIND, f"{len(numbers)} folds are too few to average their models")]
    outer = images.judging[:OUTER]
    place = np.flatnonzero(np.isin(images.folds, outer))
    averaged = np.concatenate([_average(images, fold) for fold in outer])
    order = np.concatenate([np.flatnonzero(images.folds == fold) for fold in outer])
    averaged = averaged[np.argsort(order)]
    held = np.cumsum(images.held) - 1
    labels, groups = images.labels[place], images.groups[place]
    single = found.frozen.logits[held[place]]
    now, then = (losses_of(logits, labels, groups) for logits in (single, averaged))
    loss, accuracy = (paired_gain(a, b, groups) for a, b in zip(now, then, strict=True))
    count = len(numbers) - 1
    do = f"average the models of {count} folds"
    why = (
        f"heads on frozen features, on {len(place):,} images; the average costs {count} predictions an image"
    )
    own = found.head.milliseconds if found.head is not None else None
    cost = {} if own is None else {"milliseconds": (count - 1) * own}
    return [Line(FOLDS_KIND, do, why, loss, accuracy, cost)]


def _average(images: Images, outer: int) -> FloatArray:
    """The mean answer [m, classes] to the images of fold `outer` by heads that each left out one more fold."""
    answers = [
        solved(images, images.training(outer) & images.training(fold), images.folds == outer, images.l2)
        for fold in images.numbers
        if fold != outer
    ]
    return mean_logits(answers, [1] * len(answers))
