"""A TrainingRun as a Ray Tune trainable: one step is one epoch. Only it and `deferred`, its stand-in, import ray.

Its settings for GPUs were not run on a GPU.
"""

import contextlib
import functools
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import ray
from ray import tune

from trainables import models, strategies
from trainables.checkpoint import (
    SPLIT,
    CheckpointWriter,
    read_batch_parts,
    read_state,
    weights_of,
    write_batch_parts,
)
from trainables.collection import pass_over_imports
from trainables.config import EpochMetrics, RunContext, TrialConfig
from trainables.device_errors import breaks_process, is_out_of_memory, release_memory
from trainables.errors import DISK_FULL, Diverged, WorkerBroken, is_disk_full
from trainables.frozen_features import FeatureCache
from trainables.image_losses import LOSSES
from trainables.inference import best_device, choose_precision
from trainables.machine import local_images
from trainables.setting import ComputeConfig
from trainables.storage import storage_of
from trainables.training import TrainingRun
from trainables.trial_data import TrialData, load_trial_data
from trainables.worker import prepare_worker


class TrialTrainable(tune.Trainable):  # type: ignore[misc]
    """One trial on one worker; workers outlive trials and keep torch and the images in memory.

    Ray's config holds `trial_id` and the fields of TrialConfig; the RunContext comes through
    `tune.with_parameters(..., context=...)`. A trial that left resume state goes on from it: it
    reports its earlier epochs again at once, and whoever knows them already passes over them. An exception of the
    training ends the trial as a result with `reason` and `error`, since trying again would raise it again. An error
    that leaves the process unable to compute, such as CUDA's device-side assert, is raised as WorkerBroken: Ray ends a
    worker that raises, and the searcher tries the trial again in another.
    """

    fixed: ClassVar[Mapping[str, str]] = {}

    def setup(self, config: dict[str, Any], context: RunContext | None = None) -> None:
        """Prepare the worker, then the first trial; called by Ray."""
        if context is None:
            raise ValueError("give the RunContext with tune.with_parameters(trainable, context=...)")
        self.context = context
        pass_over_imports()
        prepare_worker(context.num_threads)
        self._prepare(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over the next trial in the same process; called by Ray under reuse_actors."""
        self._prepare(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One epoch's metrics with `done` and `reason`; called by Ray."""
        _show_in_process_lists(self.trial_name_here)
        try:
            self._start()
            if self._replayed < len(self._known):
                metrics = self._known[self._replayed]
                self._replayed += 1
            else:
                metrics = self._train_epoch()
            return self._report(metrics)
        except Diverged as error:
            return self._failure("diverged", str(error))
        except Exception as error:
            if breaks_process(error):
                raise WorkerBroken(f"this process can compute no more: {error}") from error
            # Also where the images could not be cached on this machine, which is a DataProblem made of an OSError.
            return self._failure(DISK_FULL if is_disk_full(error) else "error", traceback.format_exc())

    def __repr__(self) -> str:
        """The run's name: Ray keeps what a worker calls itself at its start, whatever trials it runs later."""
        return Path(self.context.run_dir).name if hasattr(self, "context") else type(self).__name__

    def cleanup(self) -> None:
        """Let the last files reach the disk; called by Ray."""
        self._run = None
        if self._writer is not None:
            try:
                self._writer.wait()
            finally:
                storage_of(self.context).leave(self.trial_name_here)

    trial_name_here: str = ""
    _run: TrainingRun | None = None
    _writer: CheckpointWriter | None = None

    def _prepare(self, config: dict[str, Any]) -> None:
        if self._writer is not None and self.context.storage:
            # The driver may be waiting for the weights of the trial that it stopped. What writing them raised is
            # that trial's, of which nobody hears any more, and no reason for the next one not to start.
            with contextlib.suppress(Exception):
                self._writer.wait()
            storage_of(self.context).leave(self.trial_name_here)
        values = {**config, **self.fixed}
        self.trial_name_here = str(values.pop("trial_id"))
        self._config = TrialConfig.resolve(values)
        self._run, self._writer = None, None
        if best_device().type != "cpu":
            # What the allocator kept of the trial before is lost to the neighbours on the same GPU. A GPU that can't be
            # used any more shows it again in the trial's first step, which ends this process.
            with contextlib.suppress(RuntimeError):
                release_memory()
        self._known: list[EpochMetrics] = []
        self._replayed = 0

    def _start(self) -> None:
        """Build the model and continue from resume state; inside `step`, so that a failure is the trial's."""
        if self._run is not None:
            return
        storage = storage_of(self.context)
        storage.shared()
        folder = storage.enter(self.trial_name_here)
        self._writer = CheckpointWriter(folder, functools.partial(storage.publish, self.trial_name_here))
        run = self._fresh_run()
        state = read_state(folder)
        if state is not None:
            run.load_state_dict(state)
            self._known = list(run.history)
        run.split_batches(read_batch_parts(folder))
        self._run = run

    def _fresh_run(self) -> TrainingRun:
        compute = compute_config(self.context)
        data = trial_data(self.context)
        return TrainingRun(self._config, data, compute, self._feature_cache(data, compute))

    def _feature_cache(self, data: TrialData, compute: ComputeConfig) -> FeatureCache | None:
        context = self.context
        if context.feature_cache_bytes == 0:
            return None
        policy = self._config.augmentation
        return FeatureCache.shared(
            self._config.model, data.cache, compute, context.feature_cache_bytes, policy
        )

    def _train_epoch(self) -> EpochMetrics:
        """Train one epoch and hand its state to the writer; after an out-of-memory, again in smaller parts."""
        while (metrics := self._attempt()) is None:
            self._retreat()
        run, writer = self._running()
        best = (run.epoch, weights_of(run.classifier)) if run.best_epoch == run.epoch else None
        writer.write(run.state_dict(), best)
        if run.finished:
            writer.wait()
        return metrics

    def _attempt(self) -> EpochMetrics | None:
        """One epoch, or None where memory ran out and batches can be made smaller.

        It returns before anybody goes on: the traceback of the error refers to the model and all its tensors.
        """
        run, _ = self._running()
        try:
            return run.step()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or not run.halve_batch():
                raise
        return None

    def _retreat(self) -> None:
        """Go back to the last epoch's state with the batches in as many parts as the run says."""
        run, writer = self._running()
        parts = run.accumulation
        writer.wait()
        write_batch_parts(writer.folder, parts)
        storage_of(self.context).replace(self.trial_name_here, writer.folder / SPLIT)
        del run
        self._run = None
        release_memory()
        known, replayed = self._known, self._replayed
        self._start()
        self._known, self._replayed = known, replayed

    def _running(self) -> tuple[TrainingRun, CheckpointWriter]:
        if self._run is None or self._writer is None:
            raise RuntimeError("the trial has not started")
        return self._run, self._writer

    def _report(self, metrics: EpochMetrics) -> dict[str, Any]:
        run, _ = self._running()
        last = run.finished is not None and metrics.epoch == run.epoch
        return {
            **metrics.row(),
            "done": last,
            "reason": run.finished if last else None,
            "applied": run.applied(),
            LOSSES: run.losses.get(metrics.epoch),
        }

    def _failure(self, reason: str, error: str) -> dict[str, Any]:
        self._run = None
        return {"done": True, "reason": reason, "error": error}


def compute_config(context: RunContext) -> ComputeConfig:
    """Where and how the trials of a run compute in this process."""
    device = best_device()
    return ComputeConfig(
        image_size=context.image_size,
        weights=context.weights,
        precision=choose_precision(context.precision, device),
        run_seed=context.seed,
        metric=context.metric,
        positive=context.positive,
        device=device,
    )


@functools.lru_cache(maxsize=2)
def trial_data(context: RunContext) -> TrialData:
    """The run's images, opened once a worker."""
    split = pd.read_parquet(storage_of(context).shared() / "split.parquet")
    rows = list(zip(split["path"], split["label"], split["split"], strict=True))
    groups = split["group"].tolist() if "group" in split else None
    return load_trial_data(local_images(context), rows, context.classes, groups)


def _show_in_process_lists(trial_id: str) -> None:
    """Let `ps` and the workers' list of Ray's dashboard name the trial while its epoch runs.

    Ray titles its workers itself and offers no public way to; without that function they keep its titles.
    """
    name = getattr(getattr(ray, "_raylet", None), "setproctitle", None)
    if name is not None and ray.is_initialized():
        name(f"ray::{trial_id}")


def get(model: str, strategy: str) -> type[TrialTrainable]:
    """The Ray trainable of one model x strategy combination, named `model-strategy`.

    Its config needs `trial_id` and may hold any other field of TrialConfig. Raises UnknownName.
    """
    models.check(model)
    strategies.check(strategy, model)
    fixed = {"model": model, "strategy": strategy}
    return type(f"{model}-{strategy}", (TrialTrainable,), {"fixed": fixed, "__module__": __name__})
