"""SearchConfig -> Ray Tune -> run directory."""

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.config import RunContext
from trainables.errors import RunProblem
from trainables.storage import open_storage
from tuner.ledger import Ledger, Proposals
from tuner.prepare import Prepared, prepare
from tuner.results import Run
from tuner.settings import SearchConfig
from tuner.show import Show
from tuner.signals import INTERRUPTED, Signals

if TYPE_CHECKING:
    import pandas as pd

    from tuner.events import Observer
    from tuner.optuna_bridge import OptunaBridge
    from tuner.progress import Progress
    from tuner.ray_session import RaySession

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A trial without a GPU sees none, though the machine has some.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Of a custom searcher Ray takes one trial that has no worker yet, so that workers would start one after the
    # other; the bridge never proposes more than there are slots.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    # tuner resumes from its own run directory, so Ray's snapshots of the experiment serve nobody.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@dataclass(frozen=True)
class SearchResult:
    """What a search leaves: its run directory, the best trial's row, and how it ended."""

    run: Run
    best: dict[str, Any] | None
    interrupted: bool

    @property
    def exit_status(self) -> int:
        """0 when a trial finished, 1 when none did, 130 when interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return 0 if self.best is not None else 1

    @property
    def trials(self) -> "pd.DataFrame":
        """One row a trial; see `trials.parquet`."""
        return self.run.trials()

    @property
    def epochs(self) -> "pd.DataFrame":
        """One row an epoch of every trial."""
        return self.run.epochs()


def search(
    config: SearchConfig, show: Show | None = None, observers: "Sequence[Observer]" = ()
) -> SearchResult:
    """Search as `config` says and return the result; `show` displays progress, `observers` hear of each epoch.

    Raises UserMistake for whatever a person can mend, before any trial starts.
    """
    os.environ.update(QUIET)
    if config.address is not None:
        from tuner.ray_session import require_answer

        require_answer(config.address)
    prepared = prepare(config, show)
    with prepared.run.owned():
        return execute(prepared, show, observers=observers)


def execute(
    prepared: Prepared,
    show: Show | None = None,
    trainable: type[Any] | None = None,
    observers: "Sequence[Observer]" = (),
) -> SearchResult:
    """Run the trials of a prepared (new or reopened) run until none is left.

    `trainable` replaces TrialTrainable: a Ray trainable of the same kind that needs no images.
    """
    os.environ.update(QUIET)
    if prepared.address is None:
        # Ray's switch for a machine without a cluster: everything listens on 127.0.0.1 only.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    from tuner.packing import pack_trials
    from tuner.ray_session import ray_session

    show = show or Show()
    name = prepared.run.path.name
    pack = functools.partial(pack_trials, prepared, show)
    with (
        Signals() as signals,
        ray_session(prepared, pack, name=name, dashboard=prepared.dashboard) as session,
    ):
        signals.arm()
        return _fit(prepared, session, show, signals, trainable, observers)


def _fit(
    prepared: Prepared,
    session: "RaySession",
    show: Show,
    signals: Signals,
    trainable: type[Any] | None,
    observers: "Sequence[Observer]",
) -> SearchResult:
    from tuner.operation import operated
    from tuner.optuna_bridge import OptunaBridge
    from tuner.progress import Progress
    from tuner.scheduler import FairASHA

    ledger = open_ledger(prepared)
    ledger.storage.share()
    started = time.time()
    deadline = None if prepared.time_budget_s is None else started + prepared.time_budget_s
    rungs = _rungs(prepared, ledger)
    scheduler = FairASHA(prepared.metric, rungs, deadline, prepared.run.path / "stop")
    bridge = OptunaBridge(ledger, scheduler, session.slots, prepared.max_failures)
    progress = Progress(ledger, show)
    tuner = _ray_tuner(prepared, session, bridge, progress, trainable)
    signals.stop = bridge.interrupt
    if signals.asked:
        bridge.interrupt()
    with (
        operated(prepared, ledger, session, bridge.interrupt, show, observers),
        progress,
        _quiet(show),
    ):
        tuner.fit()
    shutil.rmtree(prepared.run.path / "alive" / "ray", ignore_errors=True)
    if bridge.halted is not None:
        raise RunProblem(
            f"{prepared.run.path}: {bridge.halted}; make room, then go on with: tuner resume {prepared.run.path}"
        )
    ledger.storage.keep_only(ledger.live)
    return close(prepared.run, ledger, interrupted=bridge.interrupted)


def _ray_tuner(
    prepared: Prepared,
    session: "RaySession",
    bridge: "OptunaBridge",
    progress: "Progress",
    trainable: type[Any] | None,
) -> Any:
    """Ray's Tuner, which asks the bridge for trials and its scheduler for verdicts."""
    from ray import tune

    from trainables.ray_trainable import TrialTrainable

    context = run_context(prepared, max(1, int(session.resources["cpu"])))
    worker = tune.with_resources(
        tune.with_parameters(trainable or TrialTrainable, context=context), session.resources
    )
    # The dashboard shows this name; Ray's own wrappers would hide it.
    worker.__qualname__ = worker.__name__ = "TrialTrainable"
    return tune.Tuner(
        worker,
        tune_config=tune.TuneConfig(
            search_alg=bridge,
            scheduler=bridge.scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_folder,
        ),
        run_config=_run_config(prepared, bridge, progress),
    )


def _run_config(prepared: Prepared, bridge: "OptunaBridge", progress: "Progress") -> Any:
    """What Ray writes (next to nothing: each trial keeps its own resume state) and whom it tells."""
    from ray import tune

    from tuner.optuna_bridge import BridgeCallback, Halt

    return tune.RunConfig(
        name="ray",
        storage_path=str(prepared.run.path.resolve() / "alive"),
        callbacks=[BridgeCallback(bridge), progress],
        stop=Halt(bridge),
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        failure_config=tune.FailureConfig(max_failures=0),
        verbose=0,
    )


def open_ledger(prepared: Prepared) -> Ledger:
    """The book of a prepared run, with whatever its journal holds already."""
    proposals = Proposals(
        prepared.space, prepared.overrides, prepared.allowed, prepared.sampler, prepared.seed
    )
    storage = open_storage(prepared.run.path, prepared.storage)
    return Ledger(prepared.run, proposals, prepared.metric, prepared.samples, prepared.keep, storage)


def run_context(prepared: Prepared, num_threads: int) -> RunContext:
    """What every trial of the run shares; `num_threads` is one trial's share of the cores."""
    return RunContext(
        run_dir=str(prepared.run.path.resolve()),
        cache=str(prepared.cache),
        classes=prepared.classes,
        image_size=prepared.image_size,
        weights=prepared.weights,
        precision=prepared.precision,
        metric=prepared.metric,
        seed=prepared.seed,
        num_threads=num_threads,
        feature_cache_bytes=prepared.feature_cache_bytes,
        data=str(prepared.run.record["data"].get("folder", "")),
        storage=prepared.storage,
    )


def close(run: Run, ledger: Ledger, *, interrupted: bool) -> SearchResult:
    """Write what stands at the end; the result."""
    from tuner.best import write_best

    ledger.write_table()
    best = ledger.best()
    if best is not None:
        write_best(run, best)
    if not interrupted and not ledger.live:
        run.update_record(finished=_now())
    return SearchResult(run, best, interrupted)


def _rungs(prepared: Prepared, ledger: Ledger) -> Any:
    """The rungs with the scores of all that was reported before a restart."""
    from tuner.scheduler import make_rungs

    rungs = make_rungs(
        prepared.metric,
        prepared.max_epochs,
        prepared.grace_period,
        prepared.reduction_factor,
        not prepared.space.grid,
    )
    if rungs is not None and (ledger.rows or ledger.live):
        epochs = prepared.run.epochs().sort_values("time", kind="stable")
        columns = ("trial_id", "epoch", "full_epochs", prepared.metric)
        rungs.replay(zip(*(epochs[name].tolist() for name in columns), strict=True))
    return rungs


@contextlib.contextmanager
def _quiet(show: Show) -> Iterator[None]:
    """Keep what Ray prints about dead workers off the terminal that `show` draws on."""
    if show.console is None:
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
