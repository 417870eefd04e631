"""An afternoon's search with Optuna and timm, within a time budget; the best configuration again on all images.

    python -m benchmarks.quality.peers.script --time-budget 480 --data DIR --weights-dir DIR --out model.pt

A fifth of the images, whole groups, validates. The search takes up to seven tenths of the budget, and the rest is for
the training on all images, which gets as many epochs as the best trial had at its lowest loss, or fewer where time is
short.
"""

import time
import warnings
from dataclasses import replace

import numpy as np
import optuna
import psutil
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn

from benchmarks.quality.peers.images import Pictures, for_answering, for_training, read_pictures
from benchmarks.quality.peers.network import outputs, pretrained, save
from benchmarks.quality.peers.options import Options, read_options
from benchmarks.quality.peers.training import Settings, seed_all, train

EPOCHS = 12
SEARCH_SHARE = 0.7
SECONDS_TO_SAVE = 2.0


def elapsed() -> float:
    """Seconds since the command began, imports included."""
    return time.time() - psutil.Process().create_time()


def propose(trial: optuna.Trial, backbones: list[str]) -> Settings:
    """What is searched."""
    return Settings(
        backbone=trial.suggest_categorical("backbone", backbones),
        learning_rate=trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True),
        head_learning_rate=trial.suggest_float("head_learning_rate", 1e-4, 1e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
        smoothing=trial.suggest_float("smoothing", 0.0, 0.2),
        crop=trial.suggest_float("crop", 0.3, 1.0),
        flip=trial.suggest_categorical("flip", [True, False]),
        epochs=EPOCHS,
    )


class Objective:
    """The lowest validation loss of a trial's epochs; the best trial's settings and pace are kept."""

    def __init__(self, options: Options, pictures: Pictures, num_classes: int) -> None:
        self.options, self.pictures, self.num_classes = options, pictures, num_classes
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=options.seed)
        self.train, self.val = next(folds.split(pictures.labels, pictures.labels, pictures.groups))
        self.search_until = SEARCH_SHARE * options.time_budget
        self.best = np.inf
        self.settings: Settings | None = None
        self.best_epoch, self.seconds_an_image = 1, 0.0

    def __call__(self, trial: optuna.Trial) -> float:
        """Train a trial until its epochs or the time for the search are over, or Optuna stops it."""
        settings = propose(trial, self.options.backbones())
        size = self.options.image_size
        network = pretrained(settings.backbone, self.options.weights_dir, self.num_classes)
        learned = self.pictures.only(self.train, for_training(network, size, settings.crop, settings.flip))
        judged = self.pictures.only(self.val, for_answering(network, size))
        lowest, started = np.inf, time.monotonic()
        for epoch in train(network, learned, settings):
            pace = (time.monotonic() - started) / epoch / len(learned)
            loss = nn.functional.cross_entropy(
                outputs(network, judged), torch.from_numpy(judged.labels)
            ).item()
            lowest = min(lowest, loss)
            if loss < self.best:
                self.best, self.best_epoch = loss, epoch
                self.settings, self.seconds_an_image = settings, pace
            trial.report(loss, epoch)
            if elapsed() > self.search_until:
                break
            if trial.should_prune():
                raise optuna.TrialPruned
        print(f"trial {trial.number}: {lowest:.4f} after {epoch} epochs, {settings}", flush=True)
        return lowest


def fit(options: Options) -> None:
    """Search, train the best on all images, and write the model."""
    pictures, classes = read_pictures(options.data, options.groups)
    seed_all(options.seed)
    objective = Objective(options, pictures, len(classes))
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=options.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
    )
    study.optimize(objective, timeout=max(1.0, objective.search_until - elapsed()))
    settings = objective.settings
    if settings is None:
        raise SystemExit("no trial had a finite loss")
    left = options.time_budget - elapsed() - SECONDS_TO_SAVE
    affordable = max(1, int(left / (objective.seconds_an_image * len(pictures))))
    epochs = min(objective.best_epoch, affordable)
    if affordable < objective.best_epoch:
        settings = replace(settings, epochs=affordable)  # a whole cosine in the time that is left
    network = pretrained(settings.backbone, options.weights_dir, len(classes))
    transform = for_training(network, options.image_size, settings.crop, settings.flip)
    for epoch in train(network, pictures.only(np.arange(len(pictures)), transform), settings):
        if epoch == epochs:
            break
    print(f"{len(study.trials)} trials, then {epochs} epochs on all images")
    save(options.out, network, settings.backbone, classes, options.image_size)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fit(read_options(__doc__))
