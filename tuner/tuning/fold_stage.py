"""Whether folds judge the best trials of a search, how many, and with what time."""

from dataclasses import replace
from typing import TYPE_CHECKING

from tuner.cluster.signals import Signals
from tuner.console.reporter import Reporter
from tuner.runs.heartbeat import Watch
from tuner.tuning.budget import Budget
from tuner.tuning.fold_seconds import MOST, final_seconds
from tuner.tuning.folds import TRIALS_EACH, Stage, folds_for, judge_on_folds
from tuner.tuning.prepare import Prepared
from tuner.tuning.prior import PROBE
from tuner.tuning.trial_store import TrialStore

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession

__all__ = ["judge_best", "num_folds"]

DOING = "no more trials begin: the best are trained on other folds"
"""What `tuner status` says meanwhile."""


def num_folds(prepared: Prepared) -> int:
    """How many folds judge the best trials of the run."""
    judges = len(set(prepared.run.images_and_parts().part("val").groups))
    return folds_for(prepared.folds, judges, grid=prepared.space.grid)


def judge_best(
    prepared: Prepared,
    store: TrialStore,
    session: "RaySession",
    reporter: Reporter,
    signals: Signals,
    budget: Budget,
    folds: int,
) -> None:
    """Let other folds judge the best trials, as far as time reaches."""
    rows = store.standings.best_first()
    deadline = budget.folds_end(final_seconds(rows, prepared.run))
    context = replace(prepared.context, num_threads=max(1, int(session.resources["cpu"])))
    trained = sum(row["source"] != PROBE for row in rows)
    unlimited = budget.deadline is None and prepared.folds is None
    most = min(MOST, trained // TRIALS_EACH) if unlimited else MOST
    with Watch(prepared.run, signals.ask, session.pages) as watch:

        def note(title: str) -> None:
            watch.tell(f"{DOING}, {title}")

        stage = Stage(
            prepared.run, context, session, reporter, lambda: signals.asked, deadline, folds, most, note
        )
        judge_on_folds(stage, rows)
