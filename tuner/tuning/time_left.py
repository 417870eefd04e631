"""How long trials may still train: what is left of the budget, less what comes after them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tuner.console.reporter import Reporter, clock
from tuner.probing.probed import trial_milliseconds
from tuner.probing.sizes import FEWEST, epoch_seconds
from tuner.runs.directory import Run
from tuner.tuning.budget import Budget
from tuner.tuning.fold_seconds import final_seconds, folds_seconds
from tuner.tuning.prepare import Prepared
from tuner.tuning.trial_store import TrialStore

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession

__all__ = ["epoch_seconds_of", "is_too_short", "time_left"]

RAY_S = 10.0
"""What Ray and its workers take until the first epoch begins."""


def is_too_short(prepared: Prepared, budget: Budget, reporter: Reporter) -> bool:
    """Whether the time that is left lets no trial train for `FEWEST` epochs, so that what the probe found is all."""
    if not prepared.first_models or budget.deadline is None:
        return False
    epoch = epoch_seconds_of(prepared.run).get(prepared.first_models[0].model, 0.0)
    if budget.left() > RAY_S + FEWEST * epoch:
        return False
    reporter.line(
        f"an epoch takes about {clock(epoch)}, too long for the time that is left: the probe's model is the result"
    )
    return True


def epoch_seconds_of(run: Run) -> dict[str, float]:
    """How long an epoch of each backbone takes, by what the probe measured at the run's side; none without a probe."""
    document = run.probe()
    if document is None:
        return {}
    images = run.images_and_parts().count("train")
    return {
        row["model"]: epoch_seconds(trial_milliseconds(row), images)
        for row in document["backbones"]
        if row.get("image_size") == document["image_size"]
    }


def time_left(
    budget: Budget, store: TrialStore, folds: int, session: "RaySession"
) -> Callable[[], float] | None:
    """Seconds that trials may still take, of a budget that has a limit: what comes after them is kept back."""
    if budget.deadline is None:
        return None
    total, reserved = budget.left(), {0: 0.0}

    def left() -> float:
        # Asked at every epoch; what is kept back changes when a trial ends.
        ended = len(store.scored())
        if ended not in reserved:
            rows = store.best_first()
            judging = folds_seconds(rows, folds, session.slots()) if folds else (0.0, 0.0)
            final = final_seconds(rows, store.run) if budget.networks else 0.0
            reserved[ended] = budget.reserve(total, judging, final)
        return budget.left() - reserved[ended]

    return left
