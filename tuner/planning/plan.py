"""What a search would take, before it is started: a few timed steps, and a simulation of ASHA on them.

Its counting of GPUs was not run on a GPU.
"""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables import models, strategies
from trainables.config import TrialConfig
from tuner.cluster.session import mps_as_gpu, trial_resources
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.dataset.features import foretell, usable_backbone
from tuner.dataset.loading import Examined, load_data
from tuner.planning.advice import disk_bytes, few_judges, finalists_of, out_of_time, unexplored
from tuner.planning.epoch_clock import EpochClock
from tuner.planning.limits import Limits
from tuner.planning.pool import make_pool
from tuner.planning.searches import draw_orders, simulate_orders
from tuner.planning.simulation import Simulated, mean_counts, spread
from tuner.planning.timing import STEPS, Cost, measure, representatives
from tuner.runs.hardware import usable_cores
from tuner.tuning.backbones import check_backbones, narrow
from tuner.tuning.budget import RAY_S, Budget
from tuner.tuning.config import SAMPLE_TIME_BUDGET_S, SearchConfig, SpaceSettings, models_of, resolve
from tuner.tuning.fold_seconds import more_on_all
from tuner.tuning.folds import folds_for

if TYPE_CHECKING:
    from trainables.trial_data import TrialData

SLOWER, FASTER = 1.4, 0.9
"""By how much a trial among others, on a warm machine, may differ from the few steps that were timed alone."""

DRIVER_BYTES = 600 * 2**20
"""Memory of the search itself and of Ray's own processes, about."""


@dataclass(frozen=True)
class Combination:
    """One model x strategy: what was timed, and what the simulated searches spend on it on average.

    Seconds of an epoch with nothing of the backbone training, and with all of it that the strategy trains; None
    where there is no such epoch.
    """

    cost: Cost
    trials: float
    epochs: float
    busy_s: float
    frozen_epoch_s: float | None
    full_epoch_s: float | None


@dataclass(frozen=True)
class Plan:
    """What a search is expected to take here; of `epochs` and `seconds` a low, a middle and a high figure.

    `seconds` hold what folds take after the trials, `folds_s` in the middle; `folds` is their number, 0 for none.
    `similar_s`, which `seconds` hold too, is what finding similar pictures takes beforehand; None where nobody asked.
    `budget_s` is the time budget of the whole command, None without one.
    """

    combinations: tuple[Combination, ...]
    samples: int
    concurrent: int
    epochs: tuple[float, float, float]
    whole_epochs: int
    seconds: tuple[float, float, float]
    trials: float
    images: tuple[int, int]
    disk: Mapping[str, int]
    memory_bytes: int
    warnings: tuple[str, ...]
    similar_s: float | None = None
    folds: int = 0
    folds_s: float = 0.0
    budget_s: float | None = None


def plan(config: SearchConfig, reporter: Reporter | None = None, *, networks: int = 0) -> Plan:
    """Time and simulate the search that `config` describes; writes no run directory.

    `networks` is how many trainings the model has at most that the search ends with, 0 if it ends without one: a time
    budget is to hold them, too. Raises UserMistake for whatever `tuner run` with the same options would refuse.
    """
    reporter, started = reporter or Reporter(), time.monotonic()
    similar = config.data.groups_from_similar
    config, settings, found = _examined(config, reporter)
    read_s = time.monotonic() - started
    before = foretell(config.data, found.scan, usable_backbone(config.data, reporter)) if similar else 0.0
    images = _parts(found)
    with reporter.starting("configurations are drawn"):
        pool = make_pool(settings, prior=config.prior)
    configs = pool.configs
    resources = trial_resources(config, _machine())
    concurrent = config.concurrent or _fitting(resources)
    costs = _measure(config, settings, found, configs, int(resources["cpu"]), reporter)
    budget = SAMPLE_TIME_BUDGET_S if found.sample and config.time_budget_s is None else config.time_budget_s
    limits = replace(
        _limits(settings, found, costs, resources),
        total=math.inf if budget is None else _for_trials(budget, read_s, networks),
        folds=folds_for(config.folds, _judges(found), grid=settings.space.grid),
        networks=networks,
        slots=concurrent,
    )
    orders = draw_orders(pool, settings.samples, config.data.seed)
    searches = simulate_orders(config, settings, orders, EpochClock(costs, images, config), limits)
    low, middle, high = spread([search.seconds + search.judging_s for search in searches])
    most = math.inf if budget is None else budget
    epochs = spread([sum(search.epochs.values()) for search in searches])
    trials = float(np.mean([sum(search.trials.values()) for search in searches]))
    return Plan(
        combinations=_combinations(costs, searches, images, representatives(configs)),
        samples=settings.samples,
        concurrent=concurrent,
        epochs=epochs,
        whole_epochs=round(settings.samples * np.mean([strategies.max_epochs(one) for one in configs])),
        seconds=(
            min(most, before + low * FASTER),
            min(most, before + middle),
            min(most, before + high * SLOWER),
        ),
        folds=limits.folds,
        folds_s=float(np.median([search.judging_s for search in searches])),
        budget_s=budget,
        similar_s=before if similar else None,
        trials=trials,
        images=images,
        disk=disk_bytes(
            costs,
            configs,
            samples=settings.samples,
            keep=config.keep,
            concurrent=concurrent,
            images=sum(images),
            image_size=settings.data.side(),
            fit=settings.data.fit,
            train_images=images[0],
            feature_cache_limit=config.data.feature_cache_bytes,
        ),
        memory_bytes=DRIVER_BYTES + concurrent * max(cost.memory_bytes for cost in costs.values()),
        warnings=(
            *few_judges(found, config.data, finalists_of(configs, settings.samples)),
            *unexplored([one for order, _ in orders for one in order], settings.samples),
            *out_of_time(trials, settings.samples, epochs[1], budget),
        ),
    )


def _parts(found: Examined) -> tuple[int, int]:
    """Training and validation images."""
    return int((found.split["split"] == "train").sum()), int((found.split["split"] == "val").sum())


def _judges(found: Examined) -> int:
    """The groups of the validation images."""
    return int(found.split.loc[found.split["split"] == "val", "group"].nunique())


def _limits(
    settings: SpaceSettings,
    found: Examined,
    costs: Mapping[tuple[str, str], Cost],
    resources: Mapping[str, float],
) -> Limits:
    """How long a training may take and takes, as the simulated searches need it."""
    train, val = _parts(found)
    gpus, cores = bool(resources.get("gpu")), float(resources["cpu"])
    return Limits(
        more=more_on_all(train + val, train, gpus=gpus, cores=cores),
        max_epochs=settings.max_epochs,
        epoch=min(cost.full_s * train + cost.eval_s * val for cost in costs.values()),
    )


def _for_trials(budget_s: float, read_s: float, networks: int) -> float:
    """What of a time budget is left when the first trial begins, where reading and probing took `read_s`."""
    begins = time.monotonic() - read_s - RAY_S
    return max(0.0, Budget.of(budget_s, begins, networks=networks).left())


def _examined(config: SearchConfig, reporter: Reporter) -> tuple[SearchConfig, SpaceSettings, Examined]:
    """What `config` and its space become after the probe, and the images, read and split."""
    # Finding similar pictures takes minutes, and changes next to nothing about how many images train.
    without = replace(config, data=replace(config.data, groups_from_similar=False))
    settings = resolve(without)
    check_backbones(config, settings.space)
    narrowed = narrow(without, settings, reporter)
    config, settings = narrowed.config, narrowed.settings
    side = settings.data.side()
    return (
        config,
        settings,
        load_data(config.data, sorted(models_of(settings)), side, reporter, narrowed.found),
    )


def _machine() -> dict[str, float]:
    import torch

    return {
        "CPU": float(usable_cores()),
        "GPU": float(torch.cuda.device_count() or mps_as_gpu().get("num_gpus", 0)),
    }


def _fitting(resources: dict[str, float]) -> int:
    have = _machine()
    return max(1, int(min(have[kind.upper()] / amount for kind, amount in resources.items() if amount)))


def _measure(
    config: SearchConfig,
    settings: SpaceSettings,
    found: Examined,
    pool: Sequence[TrialConfig],
    threads: int,
    reporter: Reporter,
) -> dict[tuple[str, str], Cost]:
    """What every model x strategy of `pool` takes, timed on a few of the images."""
    from trainables.inference import best_device, choose_precision
    from trainables.setting import ComputeConfig
    from trainables.worker import as_worker

    device = best_device()
    compute = ComputeConfig(
        settings.data.side(), "none", choose_precision(config.data.precision, device), device=device
    )
    chosen = representatives(pool)
    costs = {}
    with (
        as_worker(max(1, threads)),
        tempfile.TemporaryDirectory() as folder,
        reporter.progress("timing steps") as progress,
    ):
        data = _few_images(found, settings.data, max(c.batch_size for c in chosen), Path(folder))
        for done, one in enumerate(chosen, start=1):
            costs[one.model, one.strategy] = measure(one, data, compute)
            if progress:
                progress(done, len(chosen))
    return costs


def _few_images(found: Examined, data: DataConfig, batch: int, folder: Path) -> "TrialData":
    """Enough images for the timed steps, decoded into `folder`."""
    from trainables.data.cache import ImageCache, build_cache
    from trainables.trial_data import load_trial_data

    split = found.split
    turn = split.groupby(["split", "label"]).cumcount()
    ordered = split.assign(turn=turn).sort_values("turn", kind="stable")
    few = [
        ordered[ordered["split"] == part].head(batch * steps)
        for part, steps in (("train", STEPS), ("val", 1))
    ]
    rows = [row for part in few for row in zip(part["path"], part["label"], part["split"], strict=True)]
    pixels = {image.path: image.pixels for image in found.scan.images}
    paths = [path for path, _, _ in rows]
    hashes = [pixels[path] for path in paths]
    cache = build_cache(found.scan.folder, paths, hashes, data.side(), fit=data.fit, cache_dir=folder)
    return load_trial_data(ImageCache.open(cache), rows, found.scan.classes)


def _combinations(
    costs: dict[tuple[str, str], Cost],
    searches: Sequence[Simulated],
    images: tuple[int, int],
    timed: Sequence[TrialConfig],
) -> tuple[Combination, ...]:
    trials = mean_counts([search.trials for search in searches])
    epochs = mean_counts([search.epochs for search in searches])
    busy = mean_counts([search.busy_s for search in searches])
    train, val = images
    found = []
    for config in timed:
        key = (config.model, config.strategy)
        cost, stages = costs[key], models.num_stages(config.model)
        last = strategies.last_unfreeze(config, stages)
        starts, ends = (strategies.trained_stages(config, stages, epoch) for epoch in (1, last))
        found.append(
            Combination(
                cost=cost,
                trials=trials.get(key, 0.0),
                epochs=epochs.get(key, 0.0),
                busy_s=busy.get(key, 0.0),
                frozen_epoch_s=None if starts else cost.first_s * train + cost.eval_s * val,
                full_epoch_s=cost.full_s * train + cost.eval_s * val if ends else None,
            )
        )
    return tuple(found)
