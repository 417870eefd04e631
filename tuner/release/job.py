"""What a retraining is asked, what it will do, and what it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainables.data.cache import ImageCache
from tuner.release.folder import FORMATS
from tuner.retraining.images import Images
from tuner.retraining.seed_job import SeedJob, SeedResult
from tuner.runs.best import Best, Expected
from tuner.statistics.intervals import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ModelPlan",
    "PlannedMember",
    "RetrainConfig",
    "Retrained",
    "Trained",
    "sample_pictures",
]


@dataclass(frozen=True)
class RetrainConfig:
    """What `tuner retrain` is told; None is a default that suits best.yaml or the machine.

    `seeds` are 5 by default, and 1 of an ensemble. `calibration` is whether a temperature and the sets' thresholds are
    found; `costs` is a CSV file of what answers cost; `formats` are those of the graph, see `tuner.release.formats`.
    """

    best: Path
    data: Path | None = None
    labels: Path | None = None
    groups: Path | None = None
    group_regex: str | None = None
    seeds: int | None = None
    epochs: int | None = None
    final: bool = False
    average: bool = False
    ensemble: bool = False
    calibration: bool = True
    costs: Path | None = None
    out: Path | None = None
    formats: tuple[str, ...] = FORMATS
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    address: str | None = None

    @property
    def folder(self) -> Path:
        """Where the model goes: `out`, else `model` beside best.yaml."""
        return (self.out or self.best.parent / "model").expanduser().resolve()

    @property
    def num_seeds(self) -> int:
        """How many models, each from its own seed."""
        return self.seeds or (1 if self.ensemble else 5)


@dataclass(frozen=True)
class Retrained:
    """The model folder, what its metrics.json says, and the sentences for the terminal."""

    folder: Path
    metrics: dict[str, Any]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class PlannedMember:
    """One configuration of what is exported: there is one, or those of an ensemble, each taken `count` times.

    `calibration` is the same on the training images only; it answers the validation images. None where these are held
    out anyway, or nobody asks.
    """

    trial: str
    count: int
    job: SeedJob
    calibration: SeedJob | None


@dataclass(frozen=True)
class ModelPlan:
    """What becomes a model folder: of which configuration, trained on which images, for how long, and why.

    `members` are trained from `seeds` each. `average` is whether averages of the models are looked at, `calibrated`
    whether a temperature and sets are wanted; `costs` [true class, named class] is what answers cost. The folder will
    stand at `folder` and hold `formats`. `kept` says that the search kept the weights: nothing is trained. `together`
    is what is to be expected of an ensemble, where that is known; `best` knows what is of its own trial.
    """

    best: Best
    images: Images
    trained_parts: tuple[str, ...]
    members: tuple[PlannedMember, ...]
    seeds: tuple[int, ...]
    epochs_rule: str
    folder: Path
    formats: tuple[str, ...] = FORMATS
    costs: FloatArray | None = None
    average: bool = False
    calibrated: bool = True
    kept: bool = False
    together: Expected | None = None

    @property
    def held_out(self) -> bool:
        """Whether the validation images are new to what is exported."""
        return "val" not in self.trained_parts

    @property
    def job(self) -> SeedJob:
        """What the seeds of the first member do."""
        return self.members[0].job

    @property
    def trainings(self) -> list[tuple[SeedJob, tuple[int, ...]]]:
        """Every member from every seed, and from the first seed the members' calibration models."""
        jobs = [(member.job, self.seeds) for member in self.members]
        return jobs + [
            (one.calibration, self.seeds[:1]) for one in self.members if one.calibration is not None
        ]


@dataclass(frozen=True)
class Trained:
    """What came of a plan: for each seed the results of its members, and who answered the validation images unseen.

    `calibration` are the members' calibration models, or of kept weights their own answers. None where nobody asked
    for it, where the exported average is yet to answer, or if one diverged. `out_of_fold` [training and validation
    images, classes] are logits by models that have not seen the image's group, NaN where there are none; they take the
    calibration models' place. `means` are the features, by part, that the measure of strangeness is fitted to, where
    they exist already.
    """

    models: tuple[tuple[SeedResult, ...], ...]
    calibration: tuple[SeedResult, ...] | None
    out_of_fold: FloatArray | None = None
    means: "Mapping[str, Tensor] | None" = None

    @property
    def results(self) -> list[SeedResult]:
        """All results but those of calibration models, seed by seed."""
        return [result for model in self.models for result in model]


def sample_pictures(job: SeedJob, count: int = 8) -> Any:
    """At most `count` of the images, evenly spread, as a model sees them: uint8 [n, size, size, 3]."""
    from trainables.data.preprocessing import centre_crop

    cache = ImageCache.open(job.cache)
    rows = np.unique(np.linspace(0, len(cache) - 1, num=min(count, len(cache))).astype(int))
    return centre_crop([cache[int(row)] for row in rows], job.image_size)
