"""What one training from several seeds is told, and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.config import TrialConfig
from tuner.statistics.intervals import FloatArray

__all__ = ["SEEDS", "SeedJob", "SeedResult"]

SEEDS = "seeds"
"""The folder of what trained seeds left: beside an unfinished model folder, and in a run directory."""


@dataclass(frozen=True)
class SeedJob:
    """What all seeds share.

    `rows` are (path, label, part) of the images to train on and, if any, to validate on. The trained model answers
    the images of `test_paths` in `test_cache`, if there are any. `reduced_after` are
    the epochs after which a plateau schedule is lowered where there is nothing to validate on. `run_seed`
    None: each seed has its own augmentation too, so that the spread of the seeds holds all that varies. The
    weights of the last `late` epochs go to `folder`. Without `feature_cache_bytes` frozen features are not kept.
    Progress is told under `title`, or under the number of the seed. With `kept`, results are kept in `folder` too, and
    taken from there when the same job is to be trained again; see `tuner.retraining.kept`.
    """

    config: TrialConfig
    classes: tuple[str, ...]
    cache: str
    rows: Sequence[tuple[str, str, str]]
    test_cache: str | None
    test_paths: Sequence[str]
    image_size: int
    weights: str
    precision: str
    run_seed: int | None
    epochs: int
    reduced_after: tuple[int, ...]
    late: int
    folder: str
    num_threads: int = 1
    feature_cache_bytes: int = 0
    title: str = ""
    kept: bool = False

    def said(self, seed: int) -> str:
        """What a message calls the training from `seed`."""
        return self.title or f"seed {seed}"


@dataclass(frozen=True)
class SeedResult:
    """One seed's epochs (mappings of EpochMetrics), files of weights (the last epoch's last), answers.

    `test_logits` is float64 [n, classes] of the weights of the last epoch, computed in fp32. A seed that
    diverged has an `error` instead.
    """

    seed: int
    history: tuple[Mapping[str, Any], ...] = ()
    weights: tuple[str, ...] = ()
    test_logits: FloatArray | None = None
    error: str | None = None
