"""SearchConfig -> Ray Tune -> run directory."""

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.errors import RunProblem
from trainables.storage import open_storage
from tuner.cluster.environment import ray_environment
from tuner.cluster.signals import Signals
from tuner.console.reporter import Reporter
from tuner.runs.journal import quiet_optuna
from tuner.tuning.budget import Budget
from tuner.tuning.closing import close
from tuner.tuning.config import SearchConfig
from tuner.tuning.convergence import Settling
from tuner.tuning.fold_stage import judge_best, num_folds
from tuner.tuning.prepare import Prepared, prepare
from tuner.tuning.proposals import Proposals
from tuner.tuning.ray_tuner import ray_tuner
from tuner.tuning.result import SearchResult
from tuner.tuning.rungs import Steps, ladder_of, relative_costs
from tuner.tuning.time_left import TimeLeft, epoch_seconds_of, is_too_short
from tuner.tuning.trial_store import TrialStore

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession
    from tuner.tracking.events import Observer
    from tuner.tuning.searcher import OptunaSearcher


def search(
    config: SearchConfig,
    reporter: Reporter | None = None,
    observers: "Sequence[Observer]" = (),
    *,
    started: float | None = None,
    networks: int = 0,
) -> SearchResult:
    """Search as `config` says and return the result; `reporter` displays progress, `observers` hear of each epoch.

    The time budget runs from `started`, by `time.monotonic()`, by default from now; with `networks` it leaves time for
    a model folder of as many trainings, at most. Raises UserMistake for whatever a person can mend, before any trial
    starts.
    """
    since = time.monotonic() if started is None else started
    with ray_environment(config.address):
        if config.address is not None:
            from tuner.cluster.session import require_answer

            require_answer(config.address)
        prepared = prepare(config, reporter)
        try:
            with prepared.run.owned():
                _enter_first_model(prepared, reporter or Reporter())
                budget = Budget.of(prepared.time_budget_s, since, networks=networks)
                if is_too_short(prepared, budget, reporter or Reporter()):
                    with quiet_optuna():
                        return _close_without_trials(prepared, reporter or Reporter())
                return execute(prepared, reporter, observers=observers, budget=budget)
        except BaseException:
            if not prepared.run.journal.exists():
                # No Ray, no lock, a signal: nothing is lost, and the same command shall find its place free.
                shutil.rmtree(prepared.run.path, ignore_errors=True)
            raise


def _close_without_trials(prepared: Prepared, reporter: Reporter) -> SearchResult:
    """The end of a search that had no time for a trial: all images judge what the probe found."""
    from tuner.tuning.folds import Stage, judge_on_folds

    store = open_store(prepared)
    folds = num_folds(prepared)
    if folds > 0:
        stage = Stage(prepared.run, prepared.context, None, reporter, lambda: False, None, folds)
        judge_on_folds(stage, store.standings.best_first())
    return close(prepared.run, store, interrupted=False, over_budget=True)


def _enter_first_model(prepared: Prepared, reporter: Reporter) -> None:
    """Before Ray starts: from here on the run holds a model."""
    if not prepared.first_models:
        return
    from tuner.tuning.first_model import enter_first_models

    with quiet_optuna():
        enter_first_models(open_store(prepared), prepared.first_models, prepared.context, reporter)


def execute(
    prepared: Prepared,
    reporter: Reporter | None = None,
    trainable: type[Any] | None = None,
    observers: "Sequence[Observer]" = (),
    budget: Budget | None = None,
) -> SearchResult:
    """Run the trials of a prepared (new or reopened) run until none is left, then let folds judge the best.

    `trainable` replaces TrialTrainable: a Ray trainable of the same kind that needs no images. `budget` is by default
    the run's, from now.
    """
    budget = budget or Budget.of(prepared.time_budget_s)
    with ray_environment(prepared.address), quiet_optuna():
        return _execute(prepared, reporter or Reporter(), trainable, observers, budget)


def _execute(
    prepared: Prepared,
    reporter: Reporter,
    trainable: type[Any] | None,
    observers: "Sequence[Observer]",
    budget: Budget,
) -> SearchResult:
    from tuner.cluster.session import ray_session
    from tuner.tuning.packing import pack_trials

    name = prepared.run.path.name
    pack = functools.partial(pack_trials, prepared, reporter)
    with Signals() as signals, contextlib.ExitStack() as stack:
        with reporter.waiting("Ray and its dashboard start"):
            session = stack.enter_context(
                ray_session(prepared, signals, pack, name=name, dashboard=prepared.dashboard)
            )
        return _fit(prepared, session, reporter, signals, trainable, observers, budget)


def _searcher(
    prepared: Prepared, store: TrialStore, session: "RaySession", budget: Budget, folds: int
) -> "OptunaSearcher":
    """What proposes trials and what stops them, with the time that both may take."""
    from tuner.tuning.scheduler import Costs, FairASHA, noise_of, rungs_of
    from tuner.tuning.searcher import OptunaSearcher

    relative = relative_costs(prepared.run.probe())
    costs = Costs(store.configs, cached=prepared.context.feature_cache_bytes > 0, relative=relative)
    expected = epoch_seconds_of(prepared.run)

    def whole() -> float:
        # Trials that have begun say how long an epoch takes beside others, before them the probe does.
        return prepared.max_epochs * max(scheduler.usual_epoch(), min(expected.values(), default=0.0))

    done = max((len(trial.epochs) for trial in store.live.values()), default=0)
    left = TimeLeft(budget, store, folds, session, whole, min(1.0, done / prepared.max_epochs))
    scheduler = FairASHA(
        prepared.context.metric,
        rungs_of(prepared, store.reported, costs),
        left.to_go_on,
        prepared.run.path / "stop",
        costs,
        lambda trial_id: expected.get(store.configs[trial_id].model, 0.0),
        noise_of(prepared),
        costs.first_result,
    )
    return OptunaSearcher(
        store,
        scheduler,
        session.slots,
        prepared.max_failures,
        left.for_folds,
        left.ships,
        max_epochs=prepared.max_epochs,
    )


def _fit(
    prepared: Prepared,
    session: "RaySession",
    reporter: Reporter,
    signals: Signals,
    trainable: type[Any] | None,
    observers: "Sequence[Observer]",
    budget: Budget,
) -> SearchResult:
    from tuner.tuning.operation import operated
    from tuner.tuning.progress import Progress

    store = open_store(prepared, reporter.warn)
    store.storage.share()
    folds = num_folds(prepared)
    searcher = _searcher(prepared, store, session, budget, folds)
    progress = Progress(store, reporter, budget.left)
    tuner = ray_tuner(prepared, session, searcher, progress, trainable)
    signals.stop = searcher.interrupt
    if signals.asked:
        searcher.interrupt()
    with (
        operated(prepared, store, session, searcher.interrupt, reporter, observers),
        progress,
        _quiet(reporter),
    ):
        tuner.fit()
    store.clear_ended()
    if searcher.halted is not None:
        raise RunProblem(
            f"{prepared.run.path}: {searcher.halted}; make room, then go on with: tuner resume {prepared.run.path}"
        )
    store.storage.keep_only(store.live)
    over = not searcher.interrupted and (searcher.late or searcher.over_budget())
    if over:
        store.cut_off_all()
    if not searcher.interrupted and trainable is None and folds > 0:
        judge_best(prepared, store, session, reporter, signals, budget, folds)
    return close(prepared.run, store, interrupted=searcher.interrupted or signals.asked, over_budget=over)


def open_store(prepared: Prepared, note: Callable[[str], None] = lambda text: None) -> TrialStore:
    """The book of a prepared run, with whatever its journal holds already; `note` is told what is passed over."""
    proposals = Proposals(
        prepared.space,
        prepared.overrides,
        prepared.allowed,
        prepared.sampler,
        prepared.context.seed,
        prepared.prior,
        tuple(one["parameters"] for one in prepared.earlier),
    )
    storage = open_storage(prepared.run.path, prepared.context.storage)
    ladder = ladder_of(prepared.max_epochs, prepared.grace_period, prepared.reduction_factor)
    steps = Steps(
        None if prepared.space.grid else ladder,
        cached=prepared.context.feature_cache_bytes > 0,
        relative=relative_costs(prepared.run.probe()),
    )
    store = TrialStore(
        prepared.run,
        proposals,
        prepared.context.metric,
        prepared.samples,
        prepared.keep,
        storage,
        steps=steps,
        note=note,
    )
    if prepared.until_settled:
        images = int((prepared.run.split()["split"] == "val").sum())
        store.settling = Settling(prepared.run, prepared.context.metric, images)
    return store


@contextlib.contextmanager
def _quiet(reporter: Reporter) -> Iterator[None]:
    """Keep what Ray prints about dead workers off the terminal that `reporter` draws on."""
    if reporter.console is None:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
