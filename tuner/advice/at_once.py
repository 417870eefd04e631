"""What is to be had at once: an ensemble of the kept trials, and the average of the folds' models."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from trainables.metrics import METRICS
from tuner.advice.heads import Images, solved
from tuner.advice.line import Found, Line, Unknown, paired_gain
from tuner.advice.material import ENOUGH, Material, losses_of
from tuner.statistics.calibration import mean_logits
from tuner.statistics.ensembles import select_members
from tuner.statistics.groups import grouped_folds
from tuner.statistics.intervals import FloatArray
from tuner.tuning.judgement import MEMBERS

__all__ = ["averaged_folds", "crossed", "ensemble"]

KIND, FOLDS_KIND = "ensemble", "folds"

OUTER = 2
"""Folds whose images judge the average of the others' models, at most: two fifths of the images."""


def ensemble(found: Material) -> list[Found]:
    """What an ensemble of the trials that have answered would gain over the chosen one alone.

    Its members are chosen by some folds of the images and judged by the others, so that choosing them flatters nothing.
    """
    level = found.level
    if level is None:
        return [Unknown(KIND, "no trial has answered enough images to say what an ensemble gains")]
    name, own = level
    offered = {key: logits for key, logits in found.answers.items() if key != name}
    offered = {key: logits for key, logits in offered.items() if _common(own, logits).mean() >= ENOUGH}
    if not offered:
        return [Unknown(KIND, f"only one trial has answered the images, and an ensemble takes two: {name}")]
    known = np.logical_and.reduce([np.isfinite(one).all(axis=1) for one in (own, *offered.values())])
    if known.mean() < ENOUGH:
        return [
            Unknown(KIND, "the trials have answered different images, so no ensemble of them can be judged")
        ]
    labels, groups = found.pool.numbers[known], found.groups[known]
    logits = {key: one[known] for key, one in {name: own, **offered}.items()}
    mixed, members = crossed(logits, labels, groups, int(found.record["seed"]))
    now, then = losses_of(own[known], labels), losses_of(mixed, labels)
    loss, accuracy = (paired_gain(a, b, groups) for a, b in zip(now, then, strict=True))
    if len(members) < 2:
        why = f"of {len(logits)} trials that answered {len(labels):,} images, no mixture is better than one alone"
        return [Line(KIND, "ship one model, no ensemble", why, loss, accuracy, {"milliseconds": 0.0})]
    do = f"ship the ensemble of {len(members)} trials"
    why = (
        f"on {len(labels):,} images, each answered by models that have not seen its group; other images chose"
        f" the members; all of them choose {', '.join(members)}"
    )
    return [Line(KIND, do, why, loss, accuracy, _cost(found, members, name))]


def crossed(
    logits: Mapping[str, FloatArray], labels: npt.NDArray[np.int64], groups: npt.NDArray[np.str_], seed: int
) -> tuple[FloatArray, dict[str, int]]:
    """The answers [n, classes] of ensembles that were chosen without the image's group, and the one that all choose.

    `logits` [n, classes] by trial are answers out of fold; the ensemble is given as its members' votes.
    """
    metric = METRICS["val_loss"]
    folds = grouped_folds(labels, groups.tolist(), seed)
    mixed = np.array(next(iter(logits.values())))
    for fold in np.unique(folds[folds >= 0]):
        out = folds == fold
        votes = select_members({key: one[~out] for key, one in logits.items()}, labels[~out], metric, MEMBERS)
        mixed[out] = mean_logits([logits[key][out] for key in votes], list(votes.values()))
    return mixed, select_members(dict(logits), labels, metric, MEMBERS)


def _common(first: FloatArray, second: FloatArray) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1), dtype=np.bool_)


def _cost(found: Material, members: Mapping[str, int], chosen: str) -> dict[str, float]:
    """Milliseconds more an image than the chosen trial takes, where the probe measured all of their backbones."""
    models = {str(row["trial_id"]): str(row["model"]) for row in found.trials}
    if found.head is not None:
        # Where the chosen trial has answered too few images, a head stands for it.
        models.setdefault(chosen, found.head.model)
    times = [found.milliseconds(models[key]) for key in members]
    own = found.milliseconds(models[chosen])
    if own is None or None in times:
        return {}
    return {"milliseconds": sum(time for time in times if time is not None) - own}


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
    now, then = losses_of(single, labels), losses_of(averaged, labels)
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
