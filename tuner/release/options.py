"""What `tuner.retrain` takes by name."""

from collections.abc import Sequence
from typing import TypedDict

from tuner.tuning.options import AnyPath

__all__ = ["RetrainOptions"]


class RetrainOptions(TypedDict, total=False):
    """What `retrain` takes by name: the fields of `RetrainConfig` beside `best`."""

    data: AnyPath | None
    labels: AnyPath | None
    groups: AnyPath | None
    group_regex: str | None
    seeds: int | None
    epochs: int | None
    final: bool
    average: bool
    ensemble: bool
    calibration: bool
    costs: AnyPath | None
    out: AnyPath | None
    formats: Sequence[str]
    concurrent: int | None
    cpus_per_trial: float | None
    gpus_per_trial: float | None
    address: str | None
