"""From what a person typed to a run that can start: space checked, data split and cached, run directory made."""

import dataclasses
import functools
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from search_spaces import Space
from trainables.config import RunContext
from trainables.storage import address_below, is_address, try_out
from trainables.weights_content import weights_path
from tuner.console.reporter import Reporter
from tuner.dataset.findings import findings, given_split
from tuner.dataset.loading import Examined, build_run_cache, load_data, warn_of_full_disk
from tuner.dataset.near_duplicates import Similar, near_copies, write_groups
from tuner.probing.probed import Probed, save_solved
from tuner.runs.directory import Run, fit_of, write_atomically
from tuner.runs.hardware import hardware, versions
from tuner.runs.paths import try_folder
from tuner.runs.weights_files import fingerprints
from tuner.tuning.backbones import FIRST_MODELS, check_backbones, narrow
from tuner.tuning.config import (
    SAMPLE_TIME_BUDGET_S,
    SearchConfig,
    SpaceSettings,
    models_of,
    resolve,
    space_fingerprint,
)
from tuner.tuning.earlier import Earlier

if TYPE_CHECKING:
    import pandas as pd

    from tuner.probing.ranking import Probe

PASSED_OVER_SHOWN = 5

SIMILAR = "similar-groups.csv"
"""The groups that were proposed and used, in the run directory."""


@dataclass(frozen=True)
class Prepared:
    """A run that can start or go on; every value is settled. `context` is what all trials get.

    `first_models` are the best that a probe found at the run's side, where the run is new.
    """

    run: Run
    space: Space
    context: RunContext
    overrides: Mapping[str, Any]
    allowed: Mapping[str, tuple[str, ...]]
    samples: int
    max_epochs: int
    grace_period: int
    reduction_factor: float
    sampler: str
    keep: int
    max_failures: int
    concurrent: int | None
    cpus_per_trial: float | None
    gpus_per_trial: float | Literal["auto"] | None
    time_budget_s: float | None
    address: str | None
    log: Sequence[str] = ()
    log_weights: bool = False
    dashboard: bool = False
    prior: bool = False
    earlier: Sequence[Mapping[str, Any]] = ()
    until_settled: bool = False
    folds: int | None = 0
    first_models: tuple[Probed, ...] = field(default=(), compare=False, repr=False)


def prepare(config: SearchConfig, reporter: Reporter | None = None) -> Prepared:
    """Check everything, split and cache the data, make the run directory; no trial starts.

    Raises UserMistake for whatever a person can mend.
    """
    reporter = reporter or Reporter()
    settings = resolve(config)
    check_backbones(config, settings.space)
    path = _free_place(config, settings.space.name)
    narrowed = narrow(config, settings, reporter)
    config, settings, probe = narrowed.config, narrowed.settings, narrowed.probe
    _tell_earlier(settings.earlier, reporter)
    storage = _bucket(config, path.name)
    names = sorted(models_of(settings))
    found = load_data(config.data, names, settings.data.side(), reporter, narrowed.found)
    weights_files = _weights_files(found.weights, settings, reporter)
    size, fit = settings.data.side(), settings.data.fit
    cache = build_run_cache(found.scan.folder, found.split, found.hashes, size, fit, reporter)
    warn_of_full_disk(config.data.feature_cache_bytes, reporter)
    if found.sample and config.time_budget_s is None:
        config = dataclasses.replace(config, time_budget_s=SAMPLE_TIME_BUDGET_S)
    record = _record(config, settings, with_groups_file(found, path), storage, weights_files)
    run = Run.create(path, record)
    try:
        if probe is not None:
            run.write_probe(probe.document())
            _write_heads(run, probe)
        if found.similar is not None:
            write_groups(found.similar, path / SIMILAR)
        run.write_split(found.split)
        run.write_images(found.hashes)
    except BaseException:
        # Half a run can't be resumed, but would hold its name.
        shutil.rmtree(path, ignore_errors=True)
        raise
    reporter.line(f"run {run.path}")
    prepared = prepared_from(run, settings.space, cache)
    first = () if probe is None else tuple(row for row in probe.rows if row.image_size == probe.image_size)
    return dataclasses.replace(prepared, first_models=first[:FIRST_MODELS])


def _write_heads(run: Run, probe: "Probe") -> None:
    """Keep what the probe solved: answers out of fold and heads, a file for each backbone and side."""
    for row in probe.sizes or probe.rows:
        if row.solved is not None:
            path = run.head(row.model, row.image_size)
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, functools.partial(save_solved, row=row))


def with_groups_file(found: Examined, path: Path) -> Examined:
    """The same, proposed groups being those of a file in the run directory `path`."""
    return found if found.similar is None else dataclasses.replace(found, groups=path / SIMILAR)


def _tell_earlier(earlier: Earlier, reporter: Reporter) -> None:
    """Say what the search begins with, and what it passes over."""
    for one in earlier.taken:
        reporter.line(f"begins with {one['trial']} of {one['run']}")
    for text in earlier.passed_over[:PASSED_OVER_SHOWN]:
        reporter.warn(f"skipped a trial of an earlier run, since this search could not propose it: {text}")
    more = len(earlier.passed_over) - PASSED_OVER_SHOWN
    if more > 0:
        reporter.warn(f"skipped {more} more trials of earlier runs")


def prepared_from(run: Run, space: Space, cache: Path) -> Prepared:
    """What `run.yaml` says, as a run that can start or go on."""
    record = run.record
    settings = record["settings"]
    names = {f.name for f in dataclasses.fields(Prepared)} & settings.keys()
    return Prepared(
        run=run,
        space=space,
        context=_context(run, cache),
        allowed={name: tuple(choices) for name, choices in settings["allowed"].items()},
        **{name: settings[name] for name in names - {"allowed"}},
    )


def _context(run: Run, cache: Path) -> RunContext:
    """What `run.yaml` says to every trial, on one core until a trial's share is known."""
    record = run.record
    settings, classes, positive = record["settings"], tuple(record["data"]["classes"]), record.get("positive")
    return RunContext(
        run_dir=str(run.path.resolve()),
        cache=str(cache),
        classes=classes,
        image_size=record["image_size"],
        weights=record["weights"],
        precision=record["precision"],
        metric=record["metric"],
        seed=record["seed"],
        feature_cache_bytes=settings["feature_cache_bytes"],
        data=str(record["data"].get("folder", "")),
        storage=settings.get("storage", ""),
        positive=None if positive is None else classes.index(positive),
        fit=fit_of(record),
    )


def _record(
    config: SearchConfig,
    settings: SpaceSettings,
    found: Examined,
    storage: str,
    weights_files: Mapping[str, Any],
) -> dict[str, Any]:
    """All that defines the run, as `run.yaml` keeps it."""
    return {
        "name": config.name or settings.space.name,
        "space": settings.space.reference,
        "space_fingerprint": space_fingerprint(settings.space),
        "grid": settings.space.grid,
        "metric": config.metric,
        "positive": config.data.positive,
        "seed": config.data.seed,
        "image_size": settings.data.side(),
        "fit": settings.data.fit,
        "weights": found.weights,
        "weights_files": weights_files,
        "precision": config.data.precision,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "finished": None,
        "settings": {**_settings_record(config, settings), "storage": storage},
        "versions": versions(),
        "hardware": hardware(),
        "data": _data_record(config, found),
    }


def _weights_files(weights: str, settings: SpaceSettings, reporter: Reporter) -> dict[str, dict[str, str]]:
    """What each model of the space starts from; what its library has not fetched yet is fetched now."""
    if weights == "none":
        return {}
    names = sorted(models_of(settings))
    absent = [name for name in names if weights_path(name, weights) is None]
    if absent:
        reporter.line(f"fetching pretrained weights of {', '.join(absent)}")
    return fingerprints(weights, names)


def _settings_record(config: SearchConfig, settings: SpaceSettings) -> dict[str, Any]:
    """What a resume needs to go on alike."""
    same = (
        "reduction_factor",
        "sampler",
        "prior",
        "until_settled",
        "folds",
        "keep",
        "max_failures",
        "concurrent",
        "cpus_per_trial",
        "gpus_per_trial",
        "address",
        "log_weights",
        "dashboard",
    )
    return {
        "samples": settings.samples,
        "max_epochs": settings.max_epochs,
        "grace_period": settings.grace_period,
        "overrides": dict(settings.overrides),
        **{name: getattr(config, name) for name in same},
        "feature_cache_bytes": config.data.feature_cache_bytes,
        "time_budget_s": config.time_budget_s,
        "log": list(config.log),
        "earlier": [dict(one) for one in settings.earlier.taken],
        "allowed": {name: list(choices) for name, choices in settings.allowed.items()},
    }


def _data_record(config: SearchConfig, found: Examined) -> dict[str, Any]:
    """The images and their split, so that a reader can tell whether two runs may be compared."""
    from trainables.data.deep import scale_record
    from tuner.dataset import splitting

    scan, split, fractions = found.scan, found.split, splitting.parse_fractions(config.data.split)
    return {
        "folder": str(scan.folder),
        "sample": found.sample,
        "fingerprint": scan.fingerprint,
        "split_fingerprint": splitting.fingerprint(split),
        "classes": {str(name): int((split["label"] == name).sum()) for name in scan.classes},
        "labels": None if scan.labels is None else str(scan.labels.resolve()),
        "without": None if config.data.without is None else str(config.data.without.resolve()),
        "left_out": list(scan.left_out),
        "scale": scale_record(scan.scale),
        "groups": None if found.groups is None else str(found.groups.resolve()),
        "group_regex": config.data.group_regex,
        "groups_from_similar": None if found.similar is None else _similar_record(found.similar, split),
        "near_copies": None if (copies := near_copies(scan)) is None else _similar_record(copies, split),
        "fractions": list(fractions),
        "leaks": splitting.leaks(split),
        "corrupt": [list(pair) for pair in scan.corrupt],
        "passed_over": len(scan.passed_over),
        "given_split": given_split(scan, fractions),
        "findings": findings(scan),
    }


def _similar_record(similar: Similar, split: "pd.DataFrame") -> dict[str, Any]:
    """What was proposed and used, and what of it the split could not keep apart."""
    close, tested = similar.near_training(split)
    return {**similar.document(), "test_images": tested, "test_images_near_training": close}


def _place(config: SearchConfig) -> Path:
    """The folder of run directories: the shared one if there is one."""
    shared = config.storage if config.storage and not is_address(config.storage) else None
    folder = config.runs_dir if shared is None else Path(shared.removeprefix("file://"))
    return folder.expanduser().resolve()


def _free_place(config: SearchConfig, space: str) -> Path:
    """Where the run directory goes, which has been tried out; raises RunProblem if it is taken."""
    folder = _place(config)
    shared = config.storage and not is_address(config.storage)
    try_folder(folder, "--storage" if shared else "--runs-dir")
    path = folder / (config.name or _default_name(space))
    try_folder(path, "--name")
    Run.require_free(path)
    return path


def _bucket(config: SearchConfig, name: str) -> str:
    """Where trials write if not in the run directory: a place of this run's own, which has been tried out."""
    if not is_address(config.storage or ""):
        return ""
    address = address_below(str(config.storage), f"{name}-{uuid.uuid4().hex[:8]}")
    try_out(address)
    return address


def _default_name(space: str) -> str:
    return f"{space}-{time.strftime('%Y%m%d-%H%M%S')}"
