"""Ray Tune as its PyTorch examples show it: a function that builds loaders, trains, reports a checkpoint."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from optuna.trial import BaseTrial
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.common import Images
from benchmarks.speed import plain
from benchmarks.speed.contenders import training_run
from benchmarks.speed.nine import Hunt
from search_spaces import Space, configure
from trainables.config import FIELDS, TrialConfig
from trainables.training import TrainingRun


class Told(tune.Callback):  # type: ignore[misc]
    """Tells `note` the id of the trial and the val_loss of every epoch."""

    def __init__(self, note: Callable[[str, float], object]) -> None:
        self.note = note

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        """Called by Ray."""
        self.note(trial.trial_id, result["val_loss"])


def train(config: dict[str, Any], images: Images, size: int, weights: str) -> None:
    """One trial."""
    settings = TrialConfig.resolve({name: value for name, value in config.items() if name in FIELDS})
    # A trial has one core: a loading process beside it would only take turns with it.
    for loss, accuracy in plain.fit(images, settings, size, workers=0, weights=weights):
        with tempfile.TemporaryDirectory() as folder:
            torch.save({"loss": loss}, Path(folder) / "checkpoint.pt")
            tune.report(
                {"loss": loss, "accuracy": accuracy},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


def train_cached(config: dict[str, Any], images: Images, size: int, weights: str, seed: int) -> None:
    """One trial by tuner's own loop on cached images; the weights are kept where they are the best so far."""
    run = cached_run(config, images, size, weights, seed)
    for metrics in run.epochs():
        report = {"val_loss": metrics.val_loss}
        if run.best_epoch == metrics.epoch:
            with tempfile.TemporaryDirectory() as folder:
                torch.save(run.classifier.state_dict(), Path(folder) / "weights.pt")
                tune.report(report, checkpoint=tune.Checkpoint.from_directory(folder))
        else:
            tune.report(report)


def cached_run(config: dict[str, Any], images: Images, size: int, weights: str, seed: int) -> TrainingRun:
    """A trial of one thread on the cached images, without a cache of features: that is tuner's."""
    torch.set_num_threads(1)
    settings = TrialConfig(**{name: value for name, value in config.items() if name in FIELDS})
    return training_run(images, settings, size, weights=weights, run_seed=seed)


def run_grid(configs: list[TrialConfig], images: Images, size: int, weights: str, folder: str) -> Any:
    """The results of all `configs`, nobody stopped early."""
    space = {"chosen": tune.grid_search([asdict(config) for config in configs])}

    def train_chosen(config: dict[str, Any]) -> None:
        train(config["chosen"], images, size, weights)

    tuner = tune.Tuner(
        tune.with_resources(train_chosen, {"cpu": 1}),
        param_space=space,
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    )
    return tuner.fit()


def run_search(hunt: Hunt, sample: Any, first: list[dict[str, Any]], folder: str, began: float) -> float:
    """Seconds since `began` until ASHA with Optuna's sampler has an epoch at the target; all trials stop then.

    `sample` draws a trial's parameters, those of `first` before any others.
    """
    grid = hunt.grid
    reached: list[float] = []

    class Reached(tune.Stopper):  # type: ignore[misc]
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            if result["loss"] <= hunt.target:
                reached.append(time.time() - began)
            return bool(reached)

        def stop_all(self) -> bool:
            return bool(reached)

    trainable = tune.with_parameters(train, images=grid.images, size=grid.size, weights=grid.weights)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(
                space=sample, metric="loss", mode="min", seed=grid.seed, points_to_evaluate=first
            ),
            scheduler=ASHAScheduler(
                metric="loss", mode="min", max_t=grid.epochs, grace_period=1, reduction_factor=3
            ),
            num_samples=hunt.samples,
            time_budget_s=hunt.seconds,
        ),
        run_config=tune.RunConfig(storage_path=folder, verbose=0, stop=Reached()),
    )
    tuner.fit()
    return min(reached, default=float("inf"))


def define(
    trial: BaseTrial, space: Space, overrides: dict[str, Any], allowed: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """All parameters of a trial of tuner's `space`, for OptunaSearch to sample by."""
    return asdict(configure(space, trial, overrides, allowed))
