"""What a retraining is asked, what it will do, and what it gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.cache import ImageCache
from tuner.release.images import Images
from tuner.release.seeds import SeedJob
from tuner.runs.best import Best

__all__ = ["RetrainConfig", "RetrainPlan", "Retrained", "sample_pictures"]


@dataclass(frozen=True)
class RetrainConfig:
    """What `tuner retrain` is told; None is a default that suits best.yaml or the machine."""

    best: Path
    data: Path | None = None
    labels: Path | None = None
    groups: Path | None = None
    group_regex: str | None = None
    seeds: int = 5
    epochs: int | None = None
    final: bool = False
    average: bool = False
    out: Path | None = None
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    address: str | None = None

    @property
    def folder(self) -> Path:
        """Where the model goes: `out`, else `model` beside best.yaml."""
        return (self.out or self.best.parent / "model").expanduser().resolve()


@dataclass(frozen=True)
class Retrained:
    """The model folder, what its metrics.json says, and the sentences for the terminal."""

    folder: Path
    metrics: dict[str, Any]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class RetrainPlan:
    """A retraining that can start: what is trained on what, for how long, and why."""

    config: RetrainConfig
    best: Best
    images: Images
    trained_parts: tuple[str, ...]
    job: SeedJob
    seeds: tuple[int, ...]
    epochs_rule: str


def sample_pictures(job: SeedJob, count: int = 16) -> Any:
    """At most `count` of the images, evenly spread, as a model sees them: uint8 [n, size, size, 3]."""
    from trainables.data.preprocessing import centre_crop

    cache = ImageCache.open(job.cache)
    rows = np.unique(np.linspace(0, len(cache) - 1, num=min(count, len(cache))).astype(int))
    return centre_crop([cache[int(row)] for row in rows], job.image_size)
