"""What `tuner.search` and `tuner.plan` take by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

__all__ = ["AnyPath", "SearchOptions"]

AnyPath = Path | str
"""What every function of `tuner` takes where a place is asked for."""


class SearchOptions(TypedDict, total=False):
    """What `search` and `plan` take by name: the fields of `SearchConfig` beside `space` and `data`."""

    labels: AnyPath | None
    groups: AnyPath | None
    group_regex: str | None
    groups_from_similar: bool
    without: AnyPath | None
    split: str
    samples: int | None
    max_epochs: int | None
    grace_period: int | None
    reduction_factor: float
    concurrent: int | None
    cpus_per_trial: float | None
    gpus_per_trial: float | Literal["auto"] | None
    image_size: int | None
    fit: str
    batch_size: int | None
    weights: str
    weights_dir: Path | str | None
    precision: str
    metric: str
    positive: str | None
    seed: int
    time_budget_s: float | None
    name: str | None
    runs_dir: AnyPath
    address: str | None
    backbones: str
    models: str | Sequence[str]
    strategies: str | Sequence[str]
    sampler: str
    prior: bool
    start_from: AnyPath | Sequence[AnyPath]
    until_settled: bool
    folds: int | None
    keep: int
    feature_cache_bytes: int
    max_failures: int
    log: str | Sequence[str]
    log_weights: bool
    dashboard: bool
    storage: str | None
