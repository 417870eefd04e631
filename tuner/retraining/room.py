"""Whether a disk has room for the models that are to be trained and written, asked before they are."""

import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from trainables.strategies import wants_auxiliary
from tuner.retraining.seed_job import SeedJob

__all__ = ["bytes_of", "free_bytes", "lack_of_room", "megabytes"]

BESIDE = 2**20
"""Bytes that a trained model's epochs and answers may take beside its weights."""


def bytes_of(job: SeedJob) -> int:
    """What the files of one trained seed take."""
    return job.late * model_bytes(job) + BESIDE if job.late else 0


def model_bytes(job: SeedJob) -> int:
    """What the weights of the job's model take in a file."""
    return _weights(job.config.model, len(job.classes), wants_auxiliary(job.config.strategy))


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of `folder`, which need not be there yet."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


def lack_of_room(job: SeedJob, running: Sequence[SeedJob]) -> str | None:
    """Why one more seed of `job` can't be written beside those `running`; None if there is room."""
    needed = bytes_of(job)
    if not needed:
        return None
    free = free_bytes(Path(job.folder)) - sum(map(bytes_of, running))
    if free >= needed:
        return None
    return (
        f"{job.folder}: no room on the disk for the next model ({megabytes(needed)} needed,"
        f" {megabytes(free)} free); make room there, or choose another --out"
    )


def megabytes(count: float) -> str:
    """`count` bytes in words."""
    return f"{max(0.0, count) / 1e6:,.0f} MB"


@lru_cache
def _weights(model: str, num_classes: int, auxiliary: bool) -> int:
    from trainables.models import create
    from trainables.models.empty import without_numbers

    try:
        with without_numbers():
            state = create(model, num_classes, auxiliary=auxiliary).state_dict()
    except (NotImplementedError, RuntimeError):
        # Some models of timm look at a value while they are built.
        state = create(model, num_classes, auxiliary=auxiliary).state_dict()
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())
