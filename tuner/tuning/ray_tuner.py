"""Ray's Tuner for a search: its trainable, its searcher, its scheduler, and what it may write."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tuner.tuning.prepare import Prepared

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession
    from tuner.tuning.progress import Progress
    from tuner.tuning.searcher import OptunaSearcher

__all__ = ["ray_tuner"]


def ray_tuner(
    prepared: Prepared,
    session: "RaySession",
    searcher: "OptunaSearcher",
    progress: "Progress",
    trainable: type[Any] | None,
) -> Any:
    """Ray's Tuner, which asks the searcher for trials and its scheduler for verdicts."""
    from ray import tune

    from trainables.deferred import DeferredTrial

    context = replace(prepared.context, num_threads=max(1, int(session.resources["cpu"])))
    worker = tune.with_resources(
        tune.with_parameters(trainable or DeferredTrial, context=context), session.resources
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


def _trial_name(trial: Any) -> str:
    return str(trial.config["trial_id"])


def _trial_folder(trial: Any) -> str:
    """Ray's own folder of a trial; one that is tried again is another trial to Ray."""
    return f"{_trial_name(trial)}-{trial.trial_id}"
