"""The features of a run's training and validation images from its frozen backbone, as the search kept them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.data.split import Split
from trainables.errors import RunProblem, TunerError
from tuner.console.reporter import Reporter
from tuner.runs.directory import Run, fit_of

if TYPE_CHECKING:
    from trainables.data.cache import ImageCache
    from trainables.setting import ComputeConfig

__all__ = ["compute_of", "opened_cache", "pool_features"]


def pool_features(run: Run, pool: Split, model: str, reporter: Reporter) -> npt.NDArray[np.float32]:
    """The features [n, d] of the images of `pool`, in its order; raises RunProblem where they can't be had.

    Those that the search kept are read, others computed.
    """
    import torch

    from trainables import models
    from trainables.frozen_features import FeatureCache
    from trainables.inference import placed
    from trainables.worker import as_worker

    record, compute = run.record, compute_of(run)
    try:
        cache = opened_cache(run, pool, reporter)
        with as_worker(torch.get_num_threads()):
            classifier = models.create(
                model, len(pool.classes), weights=compute.weights, dropout=0.0, seed=compute.run_seed
            )
            classifier = placed(classifier, compute.device).eval()
            limit = int(record["settings"].get("feature_cache_bytes", 0))
            features = FeatureCache.shared(model, cache, compute, limit)
            values = features.validation(classifier, cache.rows(pool.paths)).numpy()
    except (OSError, TunerError) as error:
        raise RunProblem(f"the images or the weights of {model} can't be read: {error}") from error
    if not np.isfinite(values).all():
        raise RunProblem(f"features of {model} are not finite")
    return np.asarray(values, dtype=np.float32)


def compute_of(run: Run) -> "ComputeConfig":
    """How the run computes, on this machine."""
    from trainables.inference import best_device, choose_precision
    from trainables.setting import ComputeConfig

    record, device = run.record, best_device()
    precision = choose_precision(str(record["precision"]), device)
    weights, seed = str(record["weights"]), int(record["seed"])
    return ComputeConfig(int(record["image_size"]), weights, precision, seed, device=device)


def opened_cache(run: Run, pool: Split, reporter: Reporter) -> "ImageCache":
    """The decoded images of training and validation; those of the search where the cache still has them."""
    from trainables.data.cache import ImageCache
    from tuner.dataset.loading import build_run_cache

    record, hashes = run.record, run.images()
    if any(path not in hashes for path in pool.paths):
        raise RunProblem(f"{run.path} does not say what its images were")
    folder = Path(str(record["data"]["folder"]))
    path = build_run_cache(folder, run.split(), hashes, int(record["image_size"]), fit_of(record), reporter)
    return ImageCache.open(path)
