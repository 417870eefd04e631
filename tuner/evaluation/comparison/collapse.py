"""Trainings that fell apart: good in one epoch, much worse later. The kept weights are those of the good epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainables.wording import some

if TYPE_CHECKING:
    import pandas as pd

    from tuner.evaluation.comparison.finalists import Finalist

__all__ = ["Collapse", "collapse_sentence", "fell_apart"]

LOST = 0.15
"""Accuracy on validation that has to be lost after the best epoch, as a fraction."""

LOUDER = 1.5
"""So many times the loss of the best epoch a later one has to reach: a few images more or less are no collapse."""


@dataclass(frozen=True)
class Collapse:
    """Validation accuracy in the best epoch and the worst after it; `thawed`: more of the network trained by then."""

    epoch: int
    accuracy: float
    worst_epoch: int
    worst: float
    thawed: bool


def fell_apart(curve: "pd.DataFrame", best_epoch: int) -> Collapse | None:
    """How the training whose epochs are `curve` fell apart after `best_epoch`; None if it did not."""
    ordered = curve.sort_values("epoch")
    epochs = ordered["epoch"].to_numpy(dtype=np.int64)
    accuracy, loss = (ordered[name].to_numpy(dtype=np.float64) for name in ("val_accuracy", "val_loss"))
    later = np.flatnonzero((epochs > best_epoch) & np.isfinite(accuracy))
    if best_epoch not in epochs or not len(later):
        return None
    best = int(np.flatnonzero(epochs == best_epoch)[0])
    worst = int(later[accuracy[later].argmin()])
    louder = loss[later].max() >= LOUDER * loss[best]
    if not (accuracy[best] - accuracy[worst] >= LOST and louder):
        return None
    # Runs of early versions have no such column.
    trained = ordered["trainable_parameters"].to_numpy() if "trainable_parameters" in ordered else None
    thawed = trained is not None and bool(trained[worst] > trained[best])
    return Collapse(best_epoch, float(accuracy[best]), int(epochs[worst]), float(accuracy[worst]), thawed)


def collapse_sentence(finalists: Sequence["Finalist"]) -> str | None:
    """Which finalists' trainings fell apart, how, and the usual reasons; None if none did."""
    told = []
    for one in finalists:
        if one.members or one.row["best_epoch"] is None or one.row["best_epoch"] != one.row["best_epoch"]:
            continue
        found = fell_apart(one.run.epochs(str(one.row["trial_id"])), int(one.row["best_epoch"]))
        if found is not None:
            when = ", when more of the network was trained" if found.thawed else ""
            told.append(
                f"{one.label} got worse after epoch {found.epoch} (accuracy on validation from"
                f" {100 * found.accuracy:.0f} % to {100 * found.worst:.0f} % in epoch {found.worst_epoch}{when})"
            )
    if not told:
        return None
    many = len(told) > 1
    return (
        f"{'Trainings' if many else 'A training'} fell apart: {some(told, between='; ')}. Learning rates were too high"
        " or there were too few images. The weights of the best epoch are kept, so the scores do not suffer. What"
        " may do better: a space of your own (docs/how-to/own-space.md) with lower rates, or with strategies that leave"
        " the backbone as it is, feature_extractor and linear_probe."
    )
