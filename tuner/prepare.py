"""From what a person typed to a run that can start: space checked, data split and cached, run directory made."""

import dataclasses
import hashlib
import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import search_spaces
from search_spaces import Space
from trainables import models, strategies
from trainables.config import METRICS
from trainables.errors import DataProblem, InvalidValue, UnknownName, WeightsUnavailable
from tuner import sinks
from tuner.hardware import hardware, versions
from tuner.results import Run
from tuner.show import Show

if TYPE_CHECKING:
    import pandas as pd

    from trainables.data.scan import Scan

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

SAMPLE_TIME_BUDGET_S = 360.0
"""A first run on the sample data ends in this time, whatever the machine."""


@dataclass(frozen=True)
class SearchConfig:
    """What defines a search; None means a default that suits the space, the data or the machine."""

    space: str
    data: Path | None = None
    groups: Path | None = None
    group_regex: str | None = None
    split: str = "0.8,0.1,0.1"
    samples: int | None = None
    max_epochs: int | None = None
    grace_period: int | None = None
    reduction_factor: float = 3.0
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | Literal["auto"] | None = None
    image_size: int | None = None
    batch_size: int | None = None
    weights: str = "auto"
    precision: str = "auto"
    metric: str = "val_loss"
    seed: int = 0
    time_budget_s: float | None = None
    name: str | None = None
    runs_dir: Path = Path("runs")
    address: str | None = None
    models: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    sampler: str = "tpe"
    keep: int = 3
    feature_cache_bytes: int = 8 * 2**30
    max_failures: int = 2
    log: tuple[str, ...] = ()
    log_weights: bool = False
    dashboard: bool = True
    storage: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can be refused without looking anywhere; raises InvalidValue or UnknownName."""
        from trainables.data.split import parse_fractions

        parse_fractions(self.split)
        if self.metric not in METRICS:
            raise UnknownName.of("metric", self.metric, METRICS)
        if self.precision not in PRECISIONS:
            raise UnknownName.of("precision", self.precision, PRECISIONS)
        for name in ("samples", "max_epochs", "grace_period", "concurrent", "batch_size"):
            _at_least(name, getattr(self, name), 1)
        _at_least("image_size", self.image_size, 16)
        _at_least("keep", self.keep, 1)
        _at_least("max_failures", self.max_failures, 0)
        _at_least("cpus_per_trial", self.cpus_per_trial, 0.1)
        if self.gpus_per_trial != "auto":
            _at_least("gpus_per_trial", self.gpus_per_trial, 0)
        for name in self.log:
            sinks.check(name)
        if "://" in (self.storage or "").removeprefix("file://"):
            raise InvalidValue(
                f"--storage {self.storage}: a run lives in a folder that all machines see; mount the bucket"
                " (s3fs, gcsfuse, NFS) and give the path of the mount"
            )
        if self.reduction_factor <= 1:
            raise InvalidValue(f"--reduction-factor {self.reduction_factor} must be above 1")


@dataclass(frozen=True)
class Prepared:
    """A run that can start or go on; every value is settled."""

    run: Run
    space: Space
    overrides: Mapping[str, Any]
    allowed: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...]
    cache: Path
    image_size: int
    weights: str
    precision: str
    metric: str
    seed: int
    samples: int
    max_epochs: int
    grace_period: int
    reduction_factor: float
    sampler: str
    keep: int
    feature_cache_bytes: int
    max_failures: int
    concurrent: int | None
    cpus_per_trial: float | None
    gpus_per_trial: float | Literal["auto"] | None
    time_budget_s: float | None
    address: str | None
    log: Sequence[str] = ()
    log_weights: bool = False
    dashboard: bool = False


@dataclass(frozen=True)
class SpaceSettings:
    """The space with what the command and the space's own defaults make of it."""

    space: Space
    samples: int
    max_epochs: int
    grace_period: int
    image_size: int
    overrides: Mapping[str, Any]
    allowed: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Examined:
    """The images of a search, their split and groups file, the weights; `sample`: tuner drew the images."""

    scan: "Scan"
    split: "pd.DataFrame"
    weights: str
    sample: bool
    groups: Path | None


def prepare(config: SearchConfig, show: Show | None = None) -> Prepared:
    """Check everything, split and cache the data, make the run directory; no trial starts.

    Raises UserMistake for whatever a person can mend.
    """
    show = show or Show()
    settings = settle(config)
    path = _place(config) / (config.name or _default_name(settings.space.name))
    Run.require_free(path)
    found = examine(config, settings, show)
    scan, split = found.scan, found.split
    cache = build_run_cache(scan.folder, split, _hashes(scan), settings.image_size, show)
    record = _record(config, settings, scan, split, found.weights, found.sample, found.groups)
    run = Run.create(path, record)
    run.write_split(split)
    run.write_images(_hashes(scan))
    show.line(f"run {run.path}")
    return prepared_from(run, settings.space, cache)


def settle(config: SearchConfig) -> SpaceSettings:
    """The space of `config`, loaded, restricted and checked; raises UserMistake before anything is touched."""
    from tuner.study import SAMPLERS, make_sampler

    if config.sampler not in SAMPLERS:
        raise UnknownName.of("sampler", config.sampler, SAMPLERS)
    make_sampler(config.sampler, 0, 0)
    for name in config.models:
        models.check(name)
    for name in config.strategies:
        if name not in strategies.names():
            raise UnknownName.of("strategy", name, strategies.names())
    space = search_spaces.load(config.space)
    defaults = space.defaults
    max_epochs = config.max_epochs or int(defaults.get("max_epochs", 10))
    named = {"model": config.models, "strategy": config.strategies}
    allowed = {name: choices for name, choices in named.items() if choices}
    overrides: dict[str, Any] = {"max_epochs": max_epochs}
    if config.batch_size is not None:
        overrides["batch_size"] = config.batch_size
    grace = config.grace_period or int(defaults.get("grace_period", max(1, max_epochs // 5)))
    if grace > max_epochs:
        raise InvalidValue(f"--grace-period {grace} is longer than --max-epochs {max_epochs}")
    search_spaces.check(space, overrides, allowed, grace)
    return SpaceSettings(
        space=space,
        samples=_settle_samples(config, space, overrides, allowed),
        max_epochs=max_epochs,
        grace_period=grace,
        image_size=config.image_size or int(defaults.get("image_size", _default_image_size(config))),
        overrides=overrides,
        allowed=allowed,
    )


def examine(config: SearchConfig, settings: SpaceSettings, show: Show) -> Examined:
    """Look at the images and split them, in memory only; raises UserMistake for whatever a person can mend."""
    folder, groups_csv, sample = _data_source(config, show)
    weights = _settle_weights(config, settings, sample, show)
    scan = _scan(folder, show)
    return Examined(scan, _split(config, scan, groups_csv, show), weights, sample, groups_csv)


def prepared_from(run: Run, space: Space, cache: Path) -> Prepared:
    """What `run.yaml` says, as a run that can start or go on."""
    record = run.record
    settings = record["settings"]
    names = {f.name for f in dataclasses.fields(Prepared)} & settings.keys()
    return Prepared(
        run=run,
        space=space,
        cache=cache,
        classes=tuple(record["data"]["classes"]),
        image_size=record["image_size"],
        weights=record["weights"],
        precision=record["precision"],
        metric=record["metric"],
        seed=record["seed"],
        allowed={name: tuple(choices) for name, choices in settings["allowed"].items()},
        **{name: settings[name] for name in names - {"allowed"}},
    )


def build_run_cache(
    folder: Path, split: "pd.DataFrame", hashes: Mapping[str, str], image_size: int, show: Show
) -> Path:
    """The memory-mapped images of training and validation; the test images are not read."""
    from trainables.data.cache import build_cache

    paths = split.loc[split["split"] != "test", "path"].tolist()
    with show.progress("preparing images") as progress:
        return build_cache(folder, paths, [hashes[path] for path in paths], image_size, progress=progress)


def _data_source(config: SearchConfig, show: Show) -> tuple[Path, Path | None, bool]:
    """Folder, groups file, and whether it is the sample data."""
    if config.data is not None:
        if not config.data.expanduser().is_dir():
            raise DataProblem(f"--data {config.data}: no such folder")
        return config.data.expanduser().resolve(), config.groups, False
    from trainables.data.sample import sample_data

    show.line(
        "no --data given: using sample pictures of leaves that tuner draws itself; they are not photographs"
    )
    folder, groups = sample_data()
    return folder, groups, True


def _scan(folder: Path, show: Show) -> "Scan":
    from trainables.data.scan import scan

    with show.progress("reading images") as progress:
        found = scan(folder, progress=progress)
    for path, reason in found.corrupt[:10]:
        show.warn(f"left out {path}: {reason}")
    if len(found.corrupt) > 10:
        show.warn(f"left out {len(found.corrupt) - 10} more images that can't be read")
    if found.passed_over:
        names = ", ".join(path for path, _ in found.passed_over[:5])
        show.warn(f"passed over {len(found.passed_over)} files that are no images: {names}")
    for name in found.empty_classes:
        show.warn(f"class folder {name!r} holds no image and is left out")
    return found


def _split(config: SearchConfig, scan: "Scan", groups_csv: Path | None, show: Show) -> "pd.DataFrame":
    from trainables.data.split import make_split, parse_fractions, read_groups

    groups = None
    if groups_csv is not None or config.group_regex is not None:
        groups = read_groups(scan, groups_csv, config.group_regex)
    else:
        show.warn(
            "no --groups: the split is by image, so photographs of one object may stand on both sides"
            " and make every score too good"
        )
    return make_split(scan, groups, parse_fractions(config.split), config.seed)


def _settle_samples(
    config: SearchConfig, space: Space, overrides: Mapping[str, Any], allowed: Mapping[str, tuple[str, ...]]
) -> int:
    if not space.grid:
        return config.samples or int(space.defaults.get("samples", 24))
    listed = len(search_spaces.first_trials(space, int(overrides["max_epochs"]), allowed))
    if config.samples is not None and config.samples > listed:
        raise InvalidValue(f"--samples {config.samples}: {space.name} is a list of {listed} configurations")
    return config.samples or listed


def _settle_weights(config: SearchConfig, settings: SpaceSettings, sample: bool, show: Show) -> str:
    """imagenet, none, or the path of a file that fits; says so when the sample run has to go on without."""
    names = sorted(_models_of(settings))
    if config.weights in ("none", "imagenet"):
        if config.weights == "imagenet":
            _require_weights(names)
        return config.weights
    if config.weights != "auto":
        return _check_file(Path(config.weights).expanduser(), names)
    missing = [name for name in names if not models.weights_available(name)]
    if not missing:
        return "imagenet"
    if not sample:
        _require_weights(missing)
    show.warn(
        f"no pretrained weights for {', '.join(missing)} here and none can be downloaded: training starts from"
        " random weights"
    )
    return "none"


def _models_of(settings: SpaceSettings) -> set[str]:
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


def _require_weights(names: list[str]) -> None:
    missing = [name for name in names if not models.weights_available(name)]
    if missing:
        raise WeightsUnavailable(
            f"pretrained weights of {', '.join(missing)} are neither cached nor downloadable; ways out: --weights none"
            " (random weights), --weights FILE, or TORCH_HOME set to a folder that holds them"
        )


def _check_file(path: Path, names: list[str]) -> str:
    if not path.is_file():
        raise InvalidValue(f"--weights {path} is neither auto, imagenet, none nor a file")
    if len(names) > 1:
        raise InvalidValue(
            f"--weights {path} fits one model, but the space has {', '.join(names)}; choose with --models"
        )
    models.create(names[0], 2, weights=str(path.resolve()))
    return str(path.resolve())


def _record(
    config: SearchConfig,
    settings: SpaceSettings,
    scan: "Scan",
    split: "pd.DataFrame",
    weights: str,
    sample: bool,
    groups_csv: Path | None,
) -> dict[str, Any]:
    """All that defines the run, as `run.yaml` keeps it."""
    from trainables.data import split as splitting

    data = {
        "folder": str(scan.folder),
        "sample": sample,
        "fingerprint": scan.fingerprint,
        "split_fingerprint": splitting.fingerprint(split),
        "classes": {str(name): int((split["label"] == name).sum()) for name in scan.classes},
        "groups": None if groups_csv is None else str(Path(groups_csv).resolve()),
        "group_regex": config.group_regex,
        "fractions": list(splitting.parse_fractions(config.split)),
        "leaks": splitting.leaks(split),
        "corrupt": [list(pair) for pair in scan.corrupt],
        "passed_over": len(scan.passed_over),
    }
    budget = config.time_budget_s
    settled = {
        "samples": settings.samples,
        "max_epochs": settings.max_epochs,
        "grace_period": settings.grace_period,
        "overrides": dict(settings.overrides),
        "reduction_factor": config.reduction_factor,
        "sampler": config.sampler,
        "keep": config.keep,
        "feature_cache_bytes": config.feature_cache_bytes,
        "max_failures": config.max_failures,
        "concurrent": config.concurrent,
        "cpus_per_trial": config.cpus_per_trial,
        "gpus_per_trial": config.gpus_per_trial,
        "time_budget_s": SAMPLE_TIME_BUDGET_S if sample and budget is None else budget,
        "address": config.address,
        "log": list(config.log),
        "log_weights": config.log_weights,
        "dashboard": config.dashboard,
        "allowed": {name: list(choices) for name, choices in settings.allowed.items()},
    }
    return {
        "name": config.name or settings.space.name,
        "space": settings.space.reference,
        "space_fingerprint": space_fingerprint(settings.space),
        "grid": settings.space.grid,
        "metric": config.metric,
        "seed": config.seed,
        "image_size": settings.image_size,
        "weights": weights,
        "precision": config.precision,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "finished": None,
        "settings": settled,
        "versions": versions(),
        "hardware": hardware(),
        "data": data,
    }


def _hashes(scan: "Scan") -> dict[str, str]:
    return {image.path: image.pixels for image in scan.images}


def _default_image_size(config: SearchConfig) -> int:
    """224 px as the pretrained weights expect; 96 px for the sample data, which is drawn for it."""
    return 96 if config.data is None else 224


def _place(config: SearchConfig) -> Path:
    """The folder of run directories: the shared one if there is one."""
    folder = config.runs_dir if config.storage is None else Path(config.storage.removeprefix("file://"))
    return folder.expanduser().resolve()


def _default_name(space: str) -> str:
    return f"{space}-{time.strftime('%Y%m%d-%H%M%S')}"


def _at_least(name: str, value: float | None, low: float) -> None:
    if value is not None and value < low:
        raise InvalidValue(f"--{name.replace('_', '-')} {value} must be at least {low}")
