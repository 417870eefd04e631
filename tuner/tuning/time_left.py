"""How long trials may still train: what is left of the budget, less what comes after them.

A trial that runs gives way to the model that is shipped alone: a schedule that is cut is not the schedule. Before
another trial begins, the folds' time is kept back as well.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuner.console.reporter import Reporter, clock
from tuner.probing.probed import trial_milliseconds
from tuner.probing.sizes import FEWEST, epoch_seconds, with_cores
from tuner.runs.directory import Run
from tuner.tuning.budget import FINAL_SHARE, MARGIN, RAY_S, Budget
from tuner.tuning.fold_seconds import final_seconds, folds_seconds, on_all_images
from tuner.tuning.prepare import Prepared
from tuner.tuning.prior import PROBE
from tuner.tuning.trial_store import TrialStore

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession

__all__ = ["TimeLeft", "epoch_seconds_of", "is_too_short"]


def is_too_short(prepared: Prepared, budget: Budget, reporter: Reporter) -> bool:
    """Whether the time that is left lets no trial train for `FEWEST` epochs, so that what the probe found is all.

    Where a model is shipped, that trains once more, on all images, and a trial that leaves no time for it is none.
    """
    if not prepared.first_models or budget.deadline is None:
        return False
    # Those that are fine-tuned need not be the one whose frozen features are best; the first trial is of the first.
    first = (*prepared.allowed.get("model", ()), prepared.first_models[0].model)[0]
    epoch = epoch_seconds_of(prepared.run).get(str(first), 0.0)
    trainings = 1.0 + (MARGIN * on_all_images(prepared.run) if budget.networks else 0.0)
    if budget.left() > RAY_S + FEWEST * epoch * trainings:
        return False
    reporter.line(
        f"an epoch takes about {clock(epoch)}, too long for the time that is left: the probe's model is the result"
    )
    return True


def epoch_seconds_of(run: Run) -> dict[str, float]:
    """How long an epoch of each backbone takes a trial, by what the probe measured at the run's side.

    Empty without a probe.
    """
    document = run.probe()
    if document is None:
        return {}
    images, record = run.images_and_parts().count("train"), run.record
    cores = 1.0 if record["hardware"]["gpus"] else float(record["settings"].get("cpus_per_trial") or 1.0)
    return {
        row["model"]: with_cores(epoch_seconds(trial_milliseconds(row), images), cores)
        for row in document["backbones"]
        if row.get("image_size") == document["image_size"]
    }


@dataclass
class TimeLeft:
    """What the trials of `store` may still take of a `budget`; `folds` of them are judged after the search.

    `whole` says how long a trial that ends its schedule takes: before one has, the model that is shipped is expected to
    train for as long. `begun` is how much of its schedule a living trial has behind it as the trials begin, 0 to 1.
    """

    budget: Budget
    store: TrialStore
    folds: int
    session: "RaySession"
    whole: Callable[[], float]
    begun: float = 0.0
    total: float = field(init=False)
    _known: dict[int, tuple[tuple[float, float], float]] = field(default_factory=dict)
    _trained: bool = False

    def __post_init__(self) -> None:
        """Note what is left as the trials begin."""
        self.total = self.budget.left()
        self._more = on_all_images(self.store.run)

    def to_go_on(self) -> float:
        """Seconds that a running trial may still take; infinity without a limit."""
        return self.budget.left() - self._keeps()[1]

    def for_folds(self) -> float:
        """Seconds of these that folds are to have, if no trial needs them to end."""
        return self._keeps()[0]

    def ships(self) -> bool:
        """Whether the run has a trained trial that has ended, and a model is shipped at its end."""
        self._keeps()
        return self.budget.networks > 0 and self._trained

    def _keeps(self) -> tuple[float, float]:
        if self.budget.deadline is None:
            return 0.0, 0.0
        # Asked at every epoch; what the rows say changes when a trial ends.
        ended = len(self.store.standings.scored())
        if ended not in self._known:
            rows = self.store.standings.best_first()
            judging = folds_seconds(rows, self.folds, self.session.slots()) if self.folds else (0.0, 0.0)
            final = final_seconds(rows, self.store.run) if self.budget.networks else 0.0
            self._known[ended] = judging, final
            self._trained = any(row["source"] != PROBE for row in rows)
        judging, final = self._known[ended]
        planned = self._planned() if self.budget.networks else 0.0
        return self.budget.reserve(self.total, judging, max(final, min(planned, FINAL_SHARE * self.total)))

    def _planned(self) -> float:
        """Seconds that training on all images is expected to take as long as no trial has ended.

        None where a trial can end its schedule in the time, and that beside it does not fit: a trial that ended its
        schedule is worth more than one that was cut and trained again.
        """
        whole = self.whole()
        rest, final = (1 - self.begun) * whole, self._more * whole
        return 0.0 if rest <= self.total < rest + MARGIN * final else final
