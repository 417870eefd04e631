"""What a person asked for, and what the space, the data and the machine make of it."""

import hashlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import search_spaces
from search_spaces import Space
from trainables import metrics, models, strategies
from trainables.errors import InvalidValue, UnknownName
from trainables.metrics import METRICS
from trainables.ranges import NUMBERS, check, check_fields
from trainables.storage import check_address, is_address
from tuner.dataset.config import DataConfig
from tuner.tracking import sinks
from tuner.tuning.earlier import Earlier, find_earlier

SAMPLE_MAX_EPOCHS = 10
"""Epochs of a trial on the sample data at most, unless asked for: some trials shall end within the time."""

SAMPLE_TIME_BUDGET_S = 360.0
"""A first run on the sample data ends in this time, whatever the machine."""


@dataclass(frozen=True)
class SearchConfig:
    """What defines a search; None means a default that suits the space, the data or the machine.

    `data` says which images, and how they are split and seen. `search_config` makes one from the options of a command.
    """

    space: str = "auto"
    data: DataConfig = field(default_factory=DataConfig)
    samples: int | None = None
    max_epochs: int | None = None
    grace_period: int | None = None
    reduction_factor: float = 2.0
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | Literal["auto"] | None = None
    batch_size: int | None = None
    metric: str = "val_loss"
    time_budget_s: float | None = None
    name: str | None = None
    runs_dir: Path = Path("runs")
    address: str | None = None
    models: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    sampler: str = "tpe"
    prior: bool = True
    start_from: tuple[Path, ...] = ()
    until_settled: bool = False
    folds: int | None = None
    keep: int = 5
    max_failures: int = 2
    log: tuple[str, ...] = ()
    log_weights: bool = False
    dashboard: bool = True
    storage: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can be refused without looking anywhere; raises InvalidValue or UnknownName."""
        object.__setattr__(self, "metric", metrics.canonical(self.metric))
        if METRICS[self.metric].needs_positive and self.data.positive is None:
            raise InvalidValue(
                f"--metric {self.metric} is the metric of one class; say which one with --positive CLASS"
            )
        check_fields(self, except_for=("gpus_per_trial",) if self.gpus_per_trial == "auto" else ())
        if self.name is not None:
            check_name(self.name)
        for name in self.log:
            sinks.check(name)
        if self.address in ("", "local"):
            # Ray's words for one of its own.
            object.__setattr__(self, "address", None)
        if is_address(self.storage or ""):
            check_address(str(self.storage))


def search_config(space: str = "auto", data: Path | None = None, **options: Any) -> SearchConfig:
    """The configuration of a search by options that are named as fields of `SearchConfig` or of `DataConfig`.

    `data` is the folder of images. An option of neither is a TypeError.

    >>> search_config("googlenet_full", samples=12, seed=3).data.seed
    3
    """
    names = {one.name for one in fields(DataConfig)} & options.keys()
    images = DataConfig(folder=data, **{name: options.pop(name) for name in names})
    return SearchConfig(space=space, data=images, **options)


@dataclass(frozen=True)
class SpaceSettings:
    """The space with what the command and the space's own defaults make of it; `data` has its side settled."""

    space: Space
    samples: int
    max_epochs: int
    grace_period: int
    data: DataConfig
    overrides: Mapping[str, Any]
    allowed: Mapping[str, tuple[str, ...]]
    earlier: Earlier


def resolve(config: SearchConfig, *, draws: int = search_spaces.SAMPLES) -> SpaceSettings:
    """The space of `config`, loaded, restricted and checked by so many `draws`.

    Raises UserMistake before anything is touched.
    """
    from tuner.tuning.sampler import SAMPLERS, make_sampler

    if config.sampler not in SAMPLERS:
        raise UnknownName.of("sampler", config.sampler, SAMPLERS)
    make_sampler(config.sampler, 0, 0)
    for name in config.models:
        models.check(name)
    for name in config.strategies:
        if name not in strategies.names():
            raise UnknownName.of("strategy", name, strategies.names())
    space = search_spaces.load(config.space)
    defaults = {
        name: check(name, value, f"space {space.name}: its default {name}") if name in NUMBERS else value
        for name, value in space.defaults.items()
    }
    most = SAMPLE_MAX_EPOCHS if config.data.folder is None else math.inf
    max_epochs = config.max_epochs or int(min(defaults.get("max_epochs", 10), most))
    named = {"model": config.models, "strategy": config.strategies}
    allowed = {name: choices for name, choices in named.items() if choices}
    overrides: dict[str, Any] = {"max_epochs": max_epochs}
    if config.batch_size is not None:
        overrides["batch_size"] = config.batch_size
    grace = config.grace_period or search_spaces.usual_grace_period(space, max_epochs)
    if grace > max_epochs:
        raise InvalidValue(f"--grace-period {grace} is longer than --max-epochs {max_epochs}")
    search_spaces.check(space, overrides, allowed, grace, draws)
    return SpaceSettings(
        space=space,
        samples=_settle_samples(config, space, overrides, allowed),
        max_epochs=max_epochs,
        grace_period=grace,
        data=replace(config.data, image_size=config.data.side(defaults.get("image_size"))),
        overrides=overrides,
        allowed=allowed,
        earlier=find_earlier(config.start_from, space, overrides, allowed),
    )


def models_of(settings: SpaceSettings) -> set[str]:
    """Every model that the space can propose, as far as its first trials and many random ones tell."""
    from search_spaces.sampling import sample_configs

    return {config.model for config in sample_configs(settings.space, settings.overrides, settings.allowed)}


def space_fingerprint(space: Space) -> str:
    """Hash of the file that the space is written in."""
    source = inspect.getsourcefile(space.define)
    if space.reference.endswith(".py"):
        source = space.reference
    text = Path(source).read_bytes() if source else space.reference.encode()
    return hashlib.sha256(text).hexdigest()[:16]


def _settle_samples(
    config: SearchConfig, space: Space, overrides: Mapping[str, Any], allowed: Mapping[str, tuple[str, ...]]
) -> int:
    if not space.grid:
        return config.samples or int(space.defaults.get("samples", 24))
    listed = len(search_spaces.first_trials(space, int(overrides["max_epochs"]), allowed))
    if config.samples is not None and config.samples > listed:
        raise InvalidValue(f"--samples {config.samples}: {space.name} is a list of {listed} configurations")
    return config.samples or listed


def check_name(name: str) -> None:
    """Raise InvalidValue unless a run directory can be called `name`."""
    plain = name.isprintable() and name == name.strip()
    if not plain or not name or name.startswith((".", "-")) or "/" in name or "\\" in name:
        raise InvalidValue(
            f"--name {name!r} must be the name of a folder and not a path: printable, without slashes, and beginning"
            " with neither a dot nor a dash; --runs-dir says where it goes"
        )
