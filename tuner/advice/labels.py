"""Better labels: what doubtful labels cost, and what checking the first of them would gain."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trainables.metrics.answers import log_softmax
from tuner.advice.commands import typed
from tuner.advice.heads import Answered, Images, heads_on, mask_by_fold
from tuner.advice.line import Found, Line, nothing, paired_gain
from tuner.advice.material import Material
from tuner.dataset.inspection.label_errors import SELF_CONFIDENCE, rank
from tuner.statistics.intervals import FloatArray

__all__ = ["LOOKS", "Doubted", "better_labels", "doubted"]

KIND = "labels"

LOOKS = 50
"""Images, the most doubtful first, that a person is asked to look at."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Doubted:
    """The most doubtful labels: places [k] among the images that judge, and which [k] look wrong."""

    places: npt.NDArray[np.int64]
    wrong: Mask


def better_labels(found: Material) -> list[Found]:
    """What checking the first labels would gain the other images, and what the doubted ones cost by themselves."""
    images, full = found.images, found.frozen
    first = doubted(full)
    share = first.wrong.mean() if len(first.places) else 0.0
    looks = len(first.places)
    if not first.wrong.any():
        why = f"of the {looks} labels that are doubted most, none looks wrong"
        return [Line(KIND, "leave the labels as they are", why, nothing(), nothing(), {"looks": 0})]
    out = first.places[first.wrong]
    rest = np.ones(len(full.losses), dtype=np.bool_)
    rest[out] = False
    without = heads_on(images, _without(images, out))
    groups = images.groups[images.held]
    loss = paired_gain(full.losses[rest], without.losses[rest], groups[rest])
    accuracy = paired_gain(full.wrong[rest], without.wrong[rest], groups[rest])
    borne = float(full.losses[out].sum() / len(full.losses))
    if loss is not None:
        # Whether they are wrong only a person sees: there may be nothing to be gained.
        loss = replace(loss, low=min(0.0, loss.low))
    backbone = [] if found.head is None else ["--backbone", found.head.model]
    why = (
        f"{len(out)} of them ({share:.0%}) look wrong. If they are wrong, and not difficult pictures, the others lose"
        f" this much less without them in training; they themselves bear {borne:.3f} nats of the head's log loss of"
        f" {full.losses.mean():.3f} ({borne / full.losses.mean():.0%}), which no training can mend. To see them,"
        f" and doubted ones among the test images: {typed(found.record, 'inspect', '--suspects', *backbone)}"
    )
    do = f"check the {looks} labels that are doubted most"
    return [Line(KIND, do, why, loss, accuracy, {"looks": looks})]


def doubted(full: Answered, most: int = LOOKS) -> Doubted:
    """The `most` doubtful labels by the answers out of fold, and which of them look wrong."""
    probabilities = np.exp(log_softmax(full.logits))
    order, _, _ = rank(full.labels, probabilities, SELF_CONFIDENCE)
    first = np.asarray(order[:most], dtype=np.int64)
    return Doubted(first, _look_wrong(probabilities, full.labels)[first])


def _look_wrong(probabilities: FloatArray, labels: npt.NDArray[np.int64]) -> Mask:
    """Which labels [n] look wrong: the image is as likely of another class as that class's own images are on average.

    That is the confident joint of Northcutt et al. 2021. A difficult picture can look so, too.
    """
    usual = np.array(
        [
            probabilities[labels == label, label].mean() if (labels == label).any() else np.inf
            for label in range(probabilities.shape[1])
        ]
    )
    sure = np.where(probabilities >= usual, probabilities, -1.0)
    return np.asarray((sure.max(axis=1) >= 0) & (sure.argmax(axis=1) != labels), dtype=np.bool_)


def _without(images: Images, out: npt.NDArray[np.int64]) -> dict[int, Mask]:
    """By fold the images that train, those at the places `out` of those that judge left out."""
    kept = np.ones(len(images.labels), dtype=np.bool_)
    kept[np.flatnonzero(images.held)[out]] = False
    return mask_by_fold(images, kept)
