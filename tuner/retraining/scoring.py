"""What the weights of a trained seed answer. No Ray here, whose import takes seconds."""

from pathlib import Path

import numpy as np

from trainables.data.cache import ImageCache
from trainables.inference import best_device, compute_logits, load_classifier
from trainables.trial_data import load_trial_data
from trainables.worker import as_worker
from tuner.retraining.seed_job import SeedJob
from tuner.statistics.intervals import FloatArray

__all__ = ["score_weights"]


def score_weights(job: SeedJob, weights: str, part: str) -> FloatArray:
    """Logits float64 [n, classes] that the file `weights` gives, in fp32, to the "val" or "test" images."""
    classifier = load_classifier(job.config, len(job.classes), Path(weights))
    if part == "val":
        cache = ImageCache.open(job.cache)
        rows = load_trial_data(cache, job.rows, job.classes).val_rows
    else:
        cache = ImageCache.open(str(job.test_cache))
        rows = cache.rows(job.test_paths)
    with as_worker(job.num_threads):
        logits = compute_logits(classifier, cache, rows, job.image_size, "fp32", best_device())
    return np.asarray(logits.double().numpy())
