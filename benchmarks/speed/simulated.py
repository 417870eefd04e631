"""A search whose epochs cost nothing, so that all there is to measure is what runs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import chosen_images
from trainables.checkpoint import CheckpointWriter
from trainables.config import EpochMetrics
from trainables.ray_trainable import TrialTrainable
from tuner.tuning.config import search_config
from tuner.tuning.prepare import Prepared, prepare

SPACE = '''"""Instant epochs."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-6, 1e-1, log=True)
    trial.suggest_float("weight_decay", 1e-7, 1e-2, log=True)
    trial.suggest_float("dropout", 0.0, 0.5)
    return {"model": "resnet18", "strategy": "full"}
'''


def trivial_epoch(learning_rate: float, epoch: int) -> float:
    """One step of a linear layer; a loss that falls with the epochs, and is lowest at a learning rate of 1e-3."""
    layer = torch.nn.Linear(8, 2)
    layer(torch.zeros(4, 8)).sum().backward()
    distance = torch.tensor(learning_rate / 1e-3).log10().abs().item()
    return 0.3 + 0.2 * distance + 0.5 / epoch


class Simulated(TrialTrainable):
    """A trial as tuner runs it, files and all, but for the training."""

    def step(self) -> dict[str, Any]:
        """One epoch's metrics; called by Ray."""
        epoch = self._replayed = self._replayed + 1
        loss = trivial_epoch(self._config.learning_rate, epoch)
        writer = CheckpointWriter(Path(self.context.run_dir) / "alive" / self.trial_name_here)
        weights = {"weight": torch.zeros(8)}
        writer.write({"epoch": epoch}, (epoch, weights))
        writer.wait()
        last = epoch >= self._config.max_epochs
        metrics = EpochMetrics(
            epoch=epoch,
            full_epochs=epoch,
            scores={
                "val_loss": loss,
                "val_accuracy": 0.5,
                "val_balanced_accuracy": 0.5,
                "val_macro_f1": 0.5,
                "val_auroc": 0.5,
            },
            train_loss=loss,
            train_accuracy=0.5,
            learning_rate=self._config.learning_rate,
            trainable_parameters=18,
            epoch_seconds=0.0,
            time=0.0,
        )
        return {**metrics.row(), "done": last, "reason": "completed" if last else None, "applied": {}}

    def cleanup(self) -> None:
        """Nothing is left behind; called by Ray."""


@contextmanager
def prepared_run(samples: int, max_epochs: int) -> Iterator[Prepared]:
    """A run of `samples` simulated trials, ready to be executed, in a temporary folder."""
    with chosen_images(60) as images:
        folder = images.folder.parent
        space = folder / "instant.py"
        space.write_text(SPACE, encoding="utf-8")
        yield prepare(
            search_config(
                space=str(space),
                data=images.folder,
                groups=images.groups,
                samples=samples,
                max_epochs=max_epochs,
                grace_period=1,
                cpus_per_trial=1.0,
                image_size=16,
                folds=0,
                weights="none",
                runs_dir=folder,
                name="run",
            )
        )
