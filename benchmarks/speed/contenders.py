"""Who competes over one epoch: tuner, the study's loop, the same in bf16, and the bound.

The bound is the same step on tensors that are in memory already, normalised and laid out: no images are read,
decoded or augmented, and nothing is recorded.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import cv2
import torch

from benchmarks.common import BATCH_SIZE, Images
from benchmarks.speed import plain
from trainables.config import TrialConfig
from trainables.data.batches import normalise
from trainables.data.cache import ImageCache, build_cache
from trainables.frozen_features import FeatureCache, FeatureKey
from trainables.inference import autocast, best_device, choose_precision
from trainables.setting import ComputeConfig
from trainables.strategies import apply_freeze
from trainables.training import TrainingRun
from trainables.trial_data import load_trial_data
from trainables.worker import keep_freed_memory

FEATURE_BYTES = 2**30


@dataclass(frozen=True)
class Job:
    """One trial: its images, model, strategy, side in pixels and threads; whether the feature cache is filled."""

    images: Images
    model: str
    strategy: str
    size: int
    threads: int
    filled: bool = False

    @property
    def config(self) -> TrialConfig:
        """The trial's configuration, with more epochs than anybody measures."""
        return TrialConfig.resolve(
            {
                "model": self.model,
                "strategy": self.strategy,
                "batch_size": BATCH_SIZE,
                "max_epochs": 1000,
                "patience": 0,
            }
        )


def tuner_epoch(job: Job) -> Callable[[], float]:
    """One epoch as tuner trains and validates it."""
    run = _run(job)
    run.step()
    return partial(_timed, run.step)


def tuner_frozen_epoch(job: Job) -> Callable[[], float]:
    """One epoch of a frozen backbone, in a fresh trial: with nothing in the feature cache, or after another trial."""
    warm = _run(job)
    warm.step()

    def measure() -> float:
        folder = Path(mkdtemp(dir=job.images.folder.parent))
        if job.filled:
            _run(job, folder).step()
        run = _run(job, folder)
        return _timed(run.step)

    return measure


def loop_epoch(job: Job, precision: str = "fp32") -> Callable[[], float]:
    """One epoch of the study's loop, with as many loading processes as threads."""
    use_threads(job.threads)
    epochs = plain.fit(job.images, job.config, job.size, workers=job.threads, precision=precision)
    next(epochs)
    return partial(_timed, lambda: next(epochs))


loop_bf16_epoch = partial(loop_epoch, precision="bf16")


def bound_epoch(job: Job) -> Callable[[], float]:
    """The forward and backward passes and optimizer steps of one epoch, and the validation's forward passes."""
    run = _run(job)
    run.step()
    model, precision = run.classifier, run.compute.precision
    batches = [(normalise(x, model.mean, model.std), y) for x, y in run.loader.train(2)]
    held = [normalise(x, model.mean, model.std) for x in run.loader.validation(2)]

    def epoch() -> None:
        model.train()
        apply_freeze(run.groups, 2)
        for pictures, labels in batches:
            run.optimizer.zero_grad()
            with autocast(run.compute.device, precision):
                logits = model(pictures)
            torch.nn.functional.cross_entropy(logits, labels).backward()
            run.optimizer.step()
        model.eval()
        with torch.inference_mode(), autocast(run.compute.device, precision):
            for pictures in held:
                model(pictures)

    epoch()
    return partial(_timed, epoch)


def _run(job: Job, feature_folder: Path | None = None) -> TrainingRun:
    use_threads(job.threads)
    return training_run(job.images, job.config, job.size, feature_folder=feature_folder)


def training_run(
    images: Images,
    config: TrialConfig,
    size: int,
    *,
    weights: str = "none",
    run_seed: int = 0,
    feature_folder: Path | None = None,
) -> TrainingRun:
    """A trial as tuner's workers make it, with a feature cache in `feature_folder` if one is given."""
    keep_freed_memory()
    paths = [path for path, _, part in images.rows if part != "test"]
    path = build_cache(images.folder, paths, paths, size, cache_dir=images.folder.parent / "cache")
    cache = ImageCache.open(path)
    device = best_device()
    compute = ComputeConfig(size, weights, choose_precision("auto", device), run_seed, device=device)
    key = FeatureKey(config.model, weights, run_seed, path.name, size, compute.precision, device.type)
    feature_cache = None
    if feature_folder is not None:
        feature_cache = FeatureCache(key, cache, device, FEATURE_BYTES, feature_folder)
    return TrainingRun(config, load_trial_data(cache, images.rows, images.classes), compute, feature_cache)


def use_threads(threads: int) -> None:
    """Let this process compute with so many threads."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
