"""What one step of each model x strategy takes on this machine, from a few real steps on a few real images.

Its measuring of a GPU's memory was not run on a GPU.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables import models, strategies
from trainables.config import TrialConfig
from tuner.runs.hardware import peak_memory_bytes

if TYPE_CHECKING:
    from trainables.setting import ComputeConfig
    from trainables.training import TrainingRun
    from trainables.trial_data import TrialData

STEPS = 2
"""Timed training steps; a pass before them pays for what is compiled or allocated once."""


@dataclass(frozen=True)
class Cost:
    """Seconds an image of one model x strategy, and what it takes to hold.

    `first_s` in the first epoch, `full_s` once everything that the strategy trains does, both with the images'
    augmentation; `eval_s` for validation. `weights_bytes` is the model, `trained_bytes` the part of it
    that ever trains, `memory_bytes` the most that this process held (or its GPU, if there is one).
    """

    model: str
    strategy: str
    first_s: float
    full_s: float
    eval_s: float
    weights_bytes: int
    trained_bytes: int
    feature_width: int
    memory_bytes: int


def measure(config: TrialConfig, data: "TrialData", compute: "ComputeConfig") -> Cost:
    """Time the trial `config` in its first epoch and after its last unfreeze, on a few batches of `data`."""
    import torch

    from trainables.training import TrainingRun

    _reset_peak()
    run = TrainingRun(_harmless(config), _few(data, config.batch_size), compute)
    stages = models.num_stages(config.model)
    last = strategies.last_unfreeze(config, stages)
    full_s = _train_s(run, last)
    grows = strategies.trained_stages(config, stages, 1) < strategies.trained_stages(config, stages, last)
    parameters = list(run.classifier.parameters())
    trained = [p for group in run.groups if group.from_epoch is not None for p in group.parameters]
    cost = Cost(
        model=config.model,
        strategy=config.strategy,
        first_s=_train_s(run, 1) if grows else full_s,
        full_s=full_s,
        eval_s=_eval_s(run, last),
        weights_bytes=_bytes(parameters),
        trained_bytes=_bytes(trained),
        feature_width=run.classifier.width,
        memory_bytes=_peak(compute.device.type),
    )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return cost


def representatives(configs: Iterable[TrialConfig]) -> list[TrialConfig]:
    """One configuration of each model x strategy, with the largest batch of those."""
    found: dict[tuple[str, str], TrialConfig] = {}
    for config in configs:
        key = (config.model, config.strategy)
        if key not in found or config.batch_size > found[key].batch_size:
            found[key] = config
    return [found[key] for key in sorted(found)]


def _harmless(config: TrialConfig) -> TrialConfig:
    """`config` at learning rates that no loss can run away from; they don't change what a step takes."""
    slow = None if config.backbone_learning_rate is None else 1e-8
    return replace(
        config,
        learning_rate=1e-8,
        backbone_learning_rate=slow,
        max_epochs=10_000,
        patience=0,
        warmup_epochs=None,
    )


def _train_s(run: "TrainingRun", epoch: int) -> float:
    """Seconds an image of training in `epoch`, by the second of two passes."""
    for _ in range(2):
        # Nothing is judged: the best epoch of a training that leaps from one to another means nothing.
        run.epoch, run.best_epoch = epoch - 1, 0
        run.history.clear()
        run.losses.clear()
        # An epoch validates as well; what that takes is told apart by validating once more.
        seconds = run.step().epoch_seconds - _validation_s(run, epoch)
    return max(seconds, 1e-6) / len(run.data.train_rows)


def _eval_s(run: "TrainingRun", epoch: int) -> float:
    return _validation_s(run, epoch) / max(1, len(run.data.val_rows))


def _validation_s(run: "TrainingRun", epoch: int) -> float:
    started = time.perf_counter()
    run.validate(epoch)
    return time.perf_counter() - started


def _few(data: "TrialData", batch: int) -> "TrialData":
    """The first images of `data`, every class among them as far as there are any."""
    train = _spread(data.train_labels)[: batch * STEPS]
    val = _spread(data.val_labels)[:batch]
    return replace(
        data,
        train_rows=data.train_rows[train],
        train_labels=data.train_labels[train],
        val_rows=data.val_rows[val],
        val_labels=data.val_labels[val],
    )


def _spread(labels: "np.ndarray") -> "np.ndarray":
    """Positions in `labels` with the classes taking turns."""
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        where = np.flatnonzero(labels == label)
        turn[where] = np.arange(len(where))
    return np.argsort(turn, kind="stable")


def _bytes(parameters: Iterable[object]) -> int:
    return sum(p.numel() * p.element_size() for p in parameters)  # type: ignore[attr-defined]


def _reset_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        # Linux sets the high-water mark back to what is held now.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _peak(device: str) -> int:
    """The most bytes that were held since `_reset_peak`, on the GPU or by this process."""
    import torch

    if device == "cuda":
        return int(torch.cuda.max_memory_reserved())
    return peak_memory_bytes()
