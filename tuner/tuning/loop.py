"""SearchConfig -> Ray Tune -> run directory."""

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.errors import RunProblem
from trainables.storage import open_storage
from tuner.cluster.environment import ray_environment
from tuner.cluster.signals import INTERRUPTED, Signals
from tuner.console.reporter import Reporter, clock
from tuner.probing.sizes import FEWEST, epoch_seconds
from tuner.runs.directory import Run
from tuner.runs.ensemble import Member
from tuner.runs.journal import quiet_optuna
from tuner.tuning.budget import Budget
from tuner.tuning.config import SearchConfig
from tuner.tuning.convergence import Settling
from tuner.tuning.estimates import chosen_on_folds
from tuner.tuning.prepare import Prepared, prepare
from tuner.tuning.prior import PROBE
from tuner.tuning.proposals import Proposals
from tuner.tuning.rungs import Steps, ladder_of, relative_costs
from tuner.tuning.trial_store import TrialStore

if TYPE_CHECKING:
    import pandas as pd

    from tuner.cluster.session import RaySession
    from tuner.tracking.events import Observer
    from tuner.tuning.progress import Progress
    from tuner.tuning.searcher import OptunaSearcher


RAY_S = 10.0
"""What Ray and its workers take until the first epoch begins."""


@dataclass(frozen=True)
class SearchResult:
    """What a search leaves: its run directory, the best trial's row, and how it ended.

    `trouble` says why its space could not be asked for all trials; None if it could. `cut` trials did not end before
    the time budget was over, and go on when the search is resumed.
    """

    run: Run
    best: dict[str, Any] | None
    interrupted: bool
    trouble: str | None = None
    cut: int = 0

    @property
    def exit_status(self) -> int:
        """0 when a trial finished, 1 when none did or the space failed, 130 when interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return 0 if self.best is not None and self.trouble is None else 1

    @property
    def trials(self) -> "pd.DataFrame":
        """One row a trial; see `trials.parquet`."""
        return self.run.trials()

    @property
    def epochs(self) -> "pd.DataFrame":
        """One row an epoch of every trial."""
        return self.run.epochs()


def search(
    config: SearchConfig,
    reporter: Reporter | None = None,
    observers: "Sequence[Observer]" = (),
    *,
    started: float | None = None,
    ships: bool = False,
) -> SearchResult:
    """Search as `config` says and return the result; `reporter` displays progress, `observers` hear of each epoch.

    The time budget runs from `started`, by `time.monotonic()`, by default from now; with `ships` it leaves time for a
    model folder. Raises UserMistake for whatever a person can mend, before any trial starts.
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
                budget = Budget.of(prepared.time_budget_s, since, ships=ships)
                if _is_too_short(prepared, budget, reporter or Reporter()):
                    with quiet_optuna():
                        return _close_without_trials(prepared, reporter or Reporter())
                return execute(prepared, reporter, observers=observers, budget=budget)
        except BaseException:
            if not prepared.run.journal.exists():
                # No Ray, no lock, a signal: nothing is lost, and the same command shall find its place free.
                shutil.rmtree(prepared.run.path, ignore_errors=True)
            raise


def _is_too_short(prepared: Prepared, budget: Budget, reporter: Reporter) -> bool:
    """Whether the time that is left lets no trial train for `FEWEST` epochs, so that what the probe found is all."""
    if not prepared.first_models or budget.deadline is None:
        return False
    epoch = _epoch_seconds(prepared.run).get(prepared.first_models[0].model, 0.0)
    if budget.left() > RAY_S + FEWEST * epoch:
        return False
    reporter.line(
        f"an epoch takes about {clock(epoch)}, too long for the time that is left: the probe's model is the result"
    )
    return True


def _close_without_trials(prepared: Prepared, reporter: Reporter) -> SearchResult:
    """The end of a search that had no time for a trial: all images judge what the probe found."""
    from tuner.tuning.folds import Stage, judge_on_folds

    store = open_store(prepared)
    folds = _num_folds(prepared)
    if folds > 0:
        stage = Stage(prepared.run, prepared.context, None, reporter, lambda: False, None, folds)
        judge_on_folds(stage, store.best_first())
    return close(prepared.run, store, interrupted=False, over_budget=True)


def _epoch_seconds(run: Run) -> dict[str, float]:
    """How long an epoch of each backbone takes, by what the probe measured at the run's side; none without a probe."""
    document = run.probe()
    if document is None:
        return {}
    images = run.images_and_parts().count("train")
    return {
        row["model"]: epoch_seconds(row.get("gpu_milliseconds") or row["milliseconds"], images)
        for row in document["backbones"]
        if row.get("image_size") == document["image_size"]
    }


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
    with (
        Signals() as signals,
        ray_session(prepared, signals, pack, name=name, dashboard=prepared.dashboard) as session,
    ):
        return _fit(prepared, session, reporter, signals, trainable, observers, budget)


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
    from tuner.tuning.scheduler import Costs, FairASHA, rungs_of
    from tuner.tuning.searcher import OptunaSearcher

    store = open_store(prepared, reporter.warn)
    store.storage.share()
    relative = relative_costs(prepared.run.probe())
    costs = Costs(store.configs, cached=prepared.context.feature_cache_bytes > 0, relative=relative)
    known = prepared.run.epochs() if store.configs else None
    rungs = rungs_of(prepared, known, costs)
    folds = _num_folds(prepared)
    left = _time_left(budget, store, folds, session)
    expected = _epoch_seconds(prepared.run)
    scheduler = FairASHA(
        prepared.context.metric,
        rungs,
        left,
        prepared.run.path / "stop",
        costs,
        lambda trial_id: expected.get(store.configs[trial_id].model, 0.0),
    )
    searcher = OptunaSearcher(store, scheduler, session.slots, prepared.max_failures)
    progress = Progress(store, reporter)
    tuner = _ray_tuner(prepared, session, searcher, progress, trainable)
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
    over = not searcher.interrupted and searcher.over_budget()
    if over:
        store.cut_off_all()
    if not searcher.interrupted and trainable is None and folds > 0:
        _judge_on_folds(prepared, store, session, reporter, signals, budget, folds)
    return close(prepared.run, store, interrupted=searcher.interrupted or signals.asked, over_budget=over)


def _time_left(
    budget: Budget, store: TrialStore, folds: int, session: "RaySession"
) -> Callable[[], float] | None:
    """Seconds that trials may still take, of a budget that has a limit: what comes after them is kept back."""
    if budget.deadline is None:
        return None
    from tuner.tuning.folds import final_seconds, folds_seconds

    total, reserved = budget.left(), {0: 0.0}

    def left() -> float:
        # Asked at every epoch; what is kept back changes when a trial ends.
        ended = len(store.scored())
        if ended not in reserved:
            rows = store.best_first()
            judging = folds_seconds(rows, folds, session.slots()) if folds else (0.0, 0.0)
            final = final_seconds(rows, store.run) if budget.ships else 0.0
            reserved[ended] = budget.reserve(total, judging, final)
        return budget.left() - reserved[ended]

    return left


def _num_folds(prepared: Prepared) -> int:
    """How many folds judge: as asked, else some where the validation images are too few to choose alone.

    A fixed list of configurations is what it is, whoever of them is best.
    """
    from tuner.tuning.folds import FEW_GROUPS, FOLDS

    if prepared.folds is not None or prepared.space.grid:
        return prepared.folds or 0
    few = len(set(prepared.run.images_and_parts().part("val").groups)) < FEW_GROUPS
    return FOLDS if few else 0


def _judge_on_folds(
    prepared: Prepared,
    store: TrialStore,
    session: "RaySession",
    reporter: Reporter,
    signals: Signals,
    budget: Budget,
    folds: int,
) -> None:
    """Let other folds judge the best trials, as far as time reaches."""
    from tuner.tuning.folds import MOST, TRIALS_EACH, Stage, final_seconds, judge_on_folds

    rows = store.best_first()
    deadline = budget.folds_end(final_seconds(rows, prepared.run))
    context = replace(prepared.context, num_threads=max(1, int(session.resources["cpu"])))
    trained = sum(row["source"] != PROBE for row in rows)
    unlimited = budget.deadline is None and prepared.folds is None
    most = min(MOST, trained // TRIALS_EACH) if unlimited else MOST
    stage = Stage(prepared.run, context, session, reporter, lambda: signals.asked, deadline, folds, most)
    judge_on_folds(stage, rows)


def _ray_tuner(
    prepared: Prepared,
    session: "RaySession",
    searcher: "OptunaSearcher",
    progress: "Progress",
    trainable: type[Any] | None,
) -> Any:
    """Ray's Tuner, which asks the searcher for trials and its scheduler for verdicts."""
    from ray import tune

    from trainables.ray_trainable import TrialTrainable

    context = replace(prepared.context, num_threads=max(1, int(session.resources["cpu"])))
    worker = tune.with_resources(
        tune.with_parameters(trainable or TrialTrainable, context=context), session.resources
    )
    # The dashboard shows this name; Ray's own wrappers would hide it.
    worker.__qualname__ = worker.__name__ = "TrialTrainable"
    return tune.Tuner(
        worker,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=searcher.scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_folder,
        ),
        run_config=_run_config(prepared, searcher, progress),
    )


def _run_config(prepared: Prepared, searcher: "OptunaSearcher", progress: "Progress") -> Any:
    """What Ray writes (next to nothing: each trial keeps its own resume state) and whom it tells."""
    from ray import tune

    from tuner.tuning.searcher import Halt, SearcherCallback

    return tune.RunConfig(
        name="ray",
        storage_path=str(prepared.run.path.resolve() / "alive"),
        callbacks=[SearcherCallback(searcher), progress],
        stop=Halt(searcher),
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        failure_config=tune.FailureConfig(max_failures=0),
        verbose=0,
    )


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


def close(run: Run, store: TrialStore, *, interrupted: bool, over_budget: bool = False) -> SearchResult:
    """Write what stands at the end; the result. A search whose time budget is over has ended, whoever lives."""
    from tuner.runs.best_trial import write_best

    if over_budget:
        store.cut_off_all()
    store.write_table()
    best = chosen(run, store)
    if best is not None:
        write_best(run, best, judged_members(run, store.scored()))
    if not interrupted and (over_budget or not store.live) and store.trouble is None:
        run.update_record(finished=_now())
    cut = len(store.live) if over_budget else 0
    return SearchResult(run, best, interrupted, store.trouble, cut)


def judged_members(run: Run, rows: Mapping[str, Mapping[str, Any]]) -> tuple[Member, ...]:
    """The members of the ensemble that all images found better than the chosen trial; none where there is none."""
    from tuner.runs.best_trial import best_of, member_of

    table = run.judged()
    if table is None:
        return ()
    voted = table[(table["votes"] > 0) & table["trial_id"].isin(list(rows))]
    return tuple(
        member_of(best_of(run, rows[name]), int(votes))
        for name, votes in zip(voted["trial_id"], voted["votes"], strict=True)
    )


def chosen(run: Run, store: TrialStore) -> dict[str, Any] | None:
    """The row of the trial that is chosen: by what all images say where they judged, else by validation."""
    rows = store.judged()
    name = chosen_on_folds(run, rows)
    return store.best() if name is None else rows[name]


@contextlib.contextmanager
def _quiet(reporter: Reporter) -> Iterator[None]:
    """Keep what Ray prints about dead workers off the terminal that `reporter` draws on."""
    if reporter.console is None:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _trial_name(trial: Any) -> str:
    return str(trial.config["trial_id"])


def _trial_folder(trial: Any) -> str:
    """Ray's own folder of a trial; one that is tried again is another trial to Ray."""
    return f"{_trial_name(trial)}-{trial.trial_id}"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
