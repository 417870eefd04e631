"""What trained seeds leave on the disk, so that a retraining or a comparison that ended early goes on from it.

    FOLDER/IDENTITY/SEED.npz                  epochs, answers to the test images, names of the files of weights
    FOLDER/IDENTITY/SEED-00007.safetensors    weights after that epoch

IDENTITY is a digest of all that a result depends on: configuration, images by their pixels and how they are split, the
weights that training starts from by their content, versions of the libraries. So what another configuration or other
images left is never taken for these.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tuner.retraining.seed_job import SeedJob, SeedResult
from tuner.runs.directory import write_atomically
from tuner.runs.hardware import versions
from tuner.runs.weights_files import fingerprints

__all__ = ["find", "keep", "located", "num_kept"]

WITHOUT_EFFECT = ("folder", "num_threads", "feature_cache_bytes", "title", "kept")
BY_CONTENT = ("cache", "test_cache", "weights")


def located(job: SeedJob) -> SeedJob:
    """The same job with the folder of its own in `job.folder`, if its results are kept; a located one stays."""
    own = _identity(job) if job.kept else None
    if own is None or Path(job.folder).name == own:
        return job
    return replace(job, folder=str(Path(job.folder) / own))


def find(job: SeedJob, seed: int) -> SeedResult | None:
    """The kept result of a located job, weights included; None where there is none, or it can't be read."""
    if not job.kept:
        return None
    folder = Path(job.folder)
    try:
        with (folder / _name(seed)).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            said = json.loads(str(file["said"]))
            logits = file["logits"] if said["answered"] else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    weights = [folder / name for name in said["weights"]]
    if not all(file.is_file() for file in weights):
        return None
    return SeedResult(seed, tuple(said["history"]), tuple(map(str, weights)), logits)


def keep(job: SeedJob, result: SeedResult) -> None:
    """Keep the result of a located job, unless it diverged; raises OSError where it can't be written."""
    if not job.kept or result.error is not None:
        return
    answered = result.test_logits is not None
    said = {
        "history": [dict(epoch) for epoch in result.history],
        "weights": [Path(name).name for name in result.weights],
        "answered": answered,
    }
    arrays: dict[str, Any] = {"said": np.array(json.dumps(said))}
    if answered:
        arrays["logits"] = result.test_logits
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)

    write_atomically(folder / _name(result.seed), write)


def num_kept(jobs: Iterable[tuple[SeedJob, Iterable[int]]]) -> int:
    """How many of the seeds of located `jobs` are kept."""
    return sum(find(job, seed) is not None for job, seeds in jobs for seed in seeds)


def _name(seed: int) -> str:
    return f"{seed}.npz"


def _identity(job: SeedJob) -> str:
    """A digest of all that a seed's result follows from, beside the seed and the machine."""
    plain = {
        field.name: getattr(job, field.name)
        for field in fields(job)
        if field.name not in (*WITHOUT_EFFECT, *BY_CONTENT)
    }
    # The name of a cache is a digest of its images' paths, pixels, size and fit.
    caches = [None if cache is None else Path(cache).name for cache in (job.cache, job.test_cache)]
    weights = fingerprints(job.weights, [job.config.model]) or job.weights
    said = repr((sorted(plain.items()), caches, weights, sorted(versions().items())))
    return hashlib.sha256(said.encode("utf-8")).hexdigest()[:16]
