"""How the chosen trial's loss goes with the number of images, where its folds were trained on two sizes."""

import math
from dataclasses import dataclass

import numpy as np

from tuner.advice.material import Material
from tuner.statistics.log_loss import log_losses
from tuner.statistics.means import error_of_mean
from tuner.tuning.fold_answers import FOLDS, fold_numbers
from tuner.tuning.prior import PROBE

__all__ = ["TwoSizes", "two_sizes"]


@dataclass(frozen=True)
class TwoSizes:
    """The larger size over the smaller, and by how many nats, with their standard error, the loss is lower there.

    Both losses are beside those of the frozen head on the same images, whose training has one size.
    """

    ratio: float
    gained: float
    error: float


def two_sizes(found: Material) -> TwoSizes | None:
    """What the folds of the chosen trial say; None where it is no fine-tuned one, or its folds were not answered."""
    row, head = found.chosen, found.head
    if row is None or head is None or row["source"] == PROBE:
        return None
    own = found.answers.get(str(row["trial_id"]))
    if own is None:
        return None
    count = int(found.record["settings"].get("folds") or FOLDS)
    if count < 2:
        return None
    folds = fold_numbers(found.pool, int(found.record["seed"]), count)
    known = np.isfinite(own).all(axis=1) & np.isfinite(head.logits).all(axis=1)
    first, others = known & (folds == 0), known & (folds > 0)
    if not first.any() or not others.any():
        return None
    return _compared(found, own, head.logits, folds, (first, others))


def _compared(
    found: Material,
    own: np.ndarray,
    frozen: np.ndarray,
    folds: np.ndarray,
    parts: tuple[np.ndarray, np.ndarray],
) -> TwoSizes | None:
    labels, groups = found.pool.numbers, found.groups
    sizes, means, errors = [], [], []
    for part in parts:
        ahead = log_losses(frozen[part], labels[part]) - log_losses(own[part], labels[part])
        sizes.append(float(np.mean([(folds != fold).sum() for fold in np.unique(folds[part])])))
        means.append(float(ahead.mean()))
        errors.append(error_of_mean(ahead, groups[part]))
    if not np.isfinite(errors).all() or sizes[0] == sizes[1]:
        return None
    large, small = (0, 1) if sizes[0] > sizes[1] else (1, 0)
    return TwoSizes(sizes[large] / sizes[small], means[large] - means[small], math.hypot(*errors))
