"""Records what configurations answer out of fold, epoch by epoch, for `choice.py` to choose among them many times.

    TUNER_POTATO_DATA=DIR python -m benchmarks.statistics.choice --record FOLDER

About 320 images of a set are cut into three folds by group. Every configuration is trained on two folds and answers the
third after each epoch: so every image has an answer of every epoch of every configuration, by a model that has not seen
its group. One file a configuration and fold; what is there is not recorded again.
"""

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import say
from benchmarks.quality.fine_tuning import FALLING, Pool, Split, compute_config, drawn, features, lite_weights
from trainables.config import TrialConfig
from trainables.data.cache import ImageCache, build_cache
from trainables.data.split import class_numbers
from trainables.errors import Diverged
from trainables.strategies import first_result
from trainables.training import TrainingRun
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import make_split, parse_fractions, read_groups
from tuner.runs.directory import write_atomically
from tuner.statistics.groups import grouped_folds

MODEL = "timm:tf_efficientnet_lite0"
SIZE, IMAGES, FOLDS, EPOCHS = 64, 320, 3, 8

SETS: Mapping[str, tuple[str, str | None]] = {
    "leaves": ("potato", "potato-groups.csv"),
    "objects": ("objects", None),
    "characters": ("characters", "characters-groups.csv"),
}
"""Folder and groups file of each set, below the folder that TUNER_POTATO_DATA names."""


@dataclass(frozen=True)
class Answers:
    """What was recorded of a set: `losses` [configurations, epochs, images] in nats, NaN after a trial's last epoch.

    `groups` [images] and class numbers `labels` [images] are the images'; `names` [configurations] are those of files.
    `first` [configurations] is the place of the first epoch, from 0 on, that is a result of the strategy.
    """

    losses: npt.NDArray[np.float64]
    groups: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    first: tuple[int, ...]


def configurations() -> dict[str, dict[str, Any]]:
    """The settings by name: heads on frozen features, and three that train more."""
    found: dict[str, dict[str, Any]] = {}
    heads = [
        *itertools.product((1e-4, 1e-3, 5e-3, 2e-2), (0.0, 0.1), ("cosine", "step")),
        *itertools.product((3e-4, 2e-3, 1e-2), (0.0, 0.1), ("cosine",)),
    ]
    for number, (rate, smoothing, schedule) in enumerate(heads):
        found[f"head{number:02d}"] = {
            "strategy": "feature_extractor",
            "learning_rate": rate,
            "label_smoothing": smoothing,
            "schedule": schedule,
            "max_epochs": EPOCHS,
        }
    tuned = {"learning_rate": 3e-4, "backbone_learning_rate": 1e-4, "schedule": "cosine", "max_epochs": 5}
    found["probe0"] = {**tuned, "strategy": "probe_then_full", "probe_l2": 1e-3}
    for number, smoothing in enumerate((0.0, 0.1)):
        found[f"layer{number}"] = {**FALLING, "label_smoothing": smoothing, "max_epochs": 5}
    shared = {"model": MODEL, "batch_size": 32, "patience": 0, "optimizer": "adamw"}
    return {name: {**shared, **own} for name, own in found.items()}


def record(data: Path, target: Path, *, quick: bool = False) -> None:
    """Write what is missing in the folder `target` for each set below `data`."""
    pools: dict[str, Pool] = {}
    for name, (folder, groups) in SETS.items():
        pool = open_set(data / folder, data / groups if groups else None, 90 if quick else IMAGES)
        pools[name] = pool
        (target / name).mkdir(parents=True, exist_ok=True)
        np.savez(target / name / "images.npz", groups=pool.groups, labels=pool.labels)
    with lite_weights([MODEL], quick) as weights:
        for config, settings in configurations().items():
            for name, pool in pools.items():
                for split in _folds(pool):
                    file = target / name / f"{config}-{split.seed}.npz"
                    if not file.exists():
                        _record(settings, split, weights[MODEL], file)


def _record(settings: Mapping[str, Any], split: Split, weights: str, file: Path) -> None:
    started = time.process_time()
    losses = _answers(settings, split, weights)
    write_atomically(file, lambda path: _write(path, split.val, losses))
    say(f"  {file.parent.name}, {file.stem}: {time.process_time() - started:.1f} s of processor time")


def read(target: Path, name: str) -> Answers:
    """What `record` wrote in `target` of the set `name`."""
    with np.load(target / name / "images.npz") as images:
        groups, labels = images["groups"], images["labels"]
    names = sorted({file.stem[:-2] for file in (target / name).glob("*-?.npz")})
    names = [one for one in names if len(list((target / name).glob(f"{one}-?.npz"))) == FOLDS]
    losses = np.full((len(names), EPOCHS, len(labels)), np.nan)
    for number, one in enumerate(names):
        for file in (target / name).glob(f"{one}-?.npz"):
            with np.load(file) as kept:
                losses[number, : len(kept["losses"]), kept["places"]] = kept["losses"].T
    # A class of a single group can't be answered out of fold.
    answered = ~np.isnan(losses[:, 0]).any(axis=0)
    settings = configurations()
    first = tuple(first_result(settings[one]["strategy"]) - 1 for one in names)
    return Answers(losses[:, :, answered], groups[answered], labels[answered], tuple(names), first)


def open_set(folder: Path, groups_file: Path | None, count: int) -> Pool:
    """About `count` images of a set, whole groups, cached at SIZE."""
    found = scan(folder)
    split = make_split(found, read_groups(found, groups_file, None), parse_fractions("0.8,0.1,0.1"), 0)
    pixels = {image.path: image.pixels for image in found.images}
    paths = split["path"].tolist()
    cache = ImageCache.open(build_cache(folder, paths, [pixels[path] for path in paths], SIZE))
    classes = tuple(map(str, found.classes))
    labels = class_numbers(split["label"].tolist(), classes)
    groups = split["group"].astype(str).to_numpy(dtype=str)
    whole = Pool(cache, classes, cache.rows(paths), labels, groups)
    kept = drawn(whole, np.arange(len(labels)), count, 0)
    return Pool(cache, classes, whole.rows[kept], labels[kept], groups[kept])


def _folds(pool: Pool) -> Iterator[Split]:
    """The folds, each validated on its images and trained on the others'."""
    fold = grouped_folds(pool.labels, pool.groups.tolist(), 0, FOLDS)
    for number in range(FOLDS):
        held = np.flatnonzero(fold == number)
        yield Split(pool, np.flatnonzero(fold != number), held, held, number)


def _answers(settings: Mapping[str, Any], split: Split, weights: str) -> npt.NDArray[np.float32]:
    """The loss [epochs, images] of each image of the fold after each epoch."""
    compute = compute_config(weights, SIZE, "auto")
    config = TrialConfig.resolve({**settings, "seed": split.seed})
    run = TrainingRun(config, split.data, compute, features(config.model, split, compute))
    try:
        for _ in run.epochs():
            pass
    except Diverged as error:
        say(f"  {error}")
    return np.stack([run.losses[metrics.epoch] for metrics in run.history])


def _write(path: Path, places: npt.NDArray[np.int64], losses: npt.NDArray[np.float32]) -> None:
    with path.open("wb") as file:
        np.savez(file, places=places, losses=losses)
