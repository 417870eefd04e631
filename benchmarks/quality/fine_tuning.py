"""What the benchmarks of quality share: splits by group, fine-tuning of EfficientNet-Lite on one, paired differences.

Every group tests once: its block is the test set of one split, the next block validates, and the training images are
drawn from the others, whole groups, classes in their proportion.
"""

import copy
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from benchmarks.common import say, source
from trainables.config import TrialConfig
from trainables.data.cache import ImageCache, build_cache
from trainables.data.split import class_numbers
from trainables.frozen_features import FeatureCache
from trainables.inference import best_device, choose_precision, compute_logits, score_logits
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun
from trainables.trial_data import TrialData
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import make_split, parse_fractions, read_groups
from tuner.statistics.groups import group_codes, grouped_folds

FEATURE_BYTES = 2**31

FALLING: dict[str, Any] = {
    "strategy": "layerwise",
    "stage_decay": 0.5,
    "optimizer": "adamw",
    "schedule": "cosine",
    "learning_rate": 1e-3,
    "backbone_learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "batch_size": 32,
}
"""Everything trained from the first epoch, at rates that halve from stage to stage towards the input."""
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """All images: the cache's rows are theirs, with class numbers [n] and groups [n]."""

    cache: ImageCache
    classes: tuple[str, ...]
    rows: Rows
    labels: Rows
    groups: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Split:
    """One split: places in the pool that train, validate and test, no group in two of them."""

    pool: Pool
    train: Rows
    val: Rows
    test: Rows
    seed: int

    @cached_property
    def data(self) -> TrialData:
        """What a trial sees."""
        pool = self.pool
        return TrialData(
            pool.cache,
            pool.rows[self.train],
            pool.labels[self.train],
            pool.rows[self.val],
            pool.labels[self.val],
            pool.classes,
            group_codes(pool.groups[self.val]),
        )


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned model: its best epoch's loss on validation, then on test, nats an image; and what it took.

    The logits [n, classes] are its answers to both.
    """

    val_loss: float
    test_loss: float
    test_accuracy: float
    seconds: float
    val_logits: npt.NDArray[np.float64]
    test_logits: npt.NDArray[np.float64]


def open_pool(image_size: int) -> Pool:
    """The images that `common.source` names, cached at `image_size`."""
    folder, groups_file, _ = source()
    found = scan(folder)
    split = make_split(found, read_groups(found, groups_file, None), parse_fractions("0.8,0.1,0.1"), 0)
    pixels = {image.path: image.pixels for image in found.images}
    paths = split["path"].tolist()
    cache = ImageCache.open(build_cache(folder, paths, [pixels[path] for path in paths], image_size))
    classes = tuple(map(str, found.classes))
    labels = class_numbers(split["label"].tolist(), classes)
    return Pool(cache, classes, cache.rows(paths), labels, split["group"].astype(str).to_numpy(dtype=str))


def splits(pool: Pool, count: int, num_train: int, num_val: int = 200) -> Iterator[Split]:
    """`count` splits with about so many images for training and for validation."""
    block = grouped_folds(pool.labels, pool.groups.tolist(), 0, count)
    for number in range(count):
        after = (number + 1) % count
        test, val = (np.flatnonzero(block == which) for which in (number, after))
        rest = np.flatnonzero((block != number) & (block != after))
        yield Split(
            pool, drawn(pool, rest, num_train, number), drawn(pool, val, num_val, number), test, number
        )


def drawn(pool: Pool, places: Rows, wanted: int, seed: int) -> Rows:
    """About `wanted` of `places`, whole groups, the classes in their proportion and none without a group."""
    random = np.random.default_rng([seed, wanted])
    kept = []
    for label in range(len(pool.classes)):
        own = places[pool.labels[places] == label]
        share = round(wanted * len(own) / len(places))
        names, sizes = np.unique(pool.groups[own], return_counts=True)
        order = random.permutation(len(names))
        before = np.cumsum(sizes[order]) - sizes[order]
        kept.append(own[np.isin(pool.groups[own], names[order[before < max(1, share)]])])
    return np.sort(np.concatenate(kept))


@contextmanager
def lite_weights(models: Sequence[str], sample: bool = False) -> Iterator[dict[str, str]]:
    """The file of each model's ImageNet weights, from the packages of the test extra; or "none" for all."""
    if sample:
        yield dict.fromkeys(models, "none")
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from pretrained import write_lite_weights

    with tempfile.TemporaryDirectory() as folder:
        yield {
            model: str(write_lite_weights(Path(folder) / f"{number}.pt", model))
            for number, model in enumerate(models)
        }


def compute_config(weights: str, image_size: int, precision: str) -> ComputeConfig:
    """Where and how a split is trained on this machine."""
    device = best_device()
    return ComputeConfig(image_size, weights, choose_precision(precision, device), 0, device=device)


def features(model: str, split: Split, compute: ComputeConfig) -> FeatureCache:
    """The cache of the model's frozen features, which all trials of a split share."""
    return FeatureCache.shared(model, split.pool.cache, compute, FEATURE_BYTES)


def fine_tune(settings: Mapping[str, Any], split: Split, compute: ComputeConfig) -> Tuned:
    """Train the configuration `settings` on the split with a seed of the split's own; test its best epoch."""
    started = time.perf_counter()
    run = best_epoch(settings, split, compute)
    seconds = time.perf_counter() - started
    return tested(run, split, seconds)


def best_epoch(settings: Mapping[str, Any], split: Split, compute: ComputeConfig) -> TrainingRun:
    """The training of the configuration `settings` on the split, with the weights of its best epoch."""
    config = TrialConfig.resolve({"patience": 0, **settings, "seed": split.seed})
    run = TrainingRun(config, split.data, compute, features(config.model, split, compute))
    best: dict[str, Any] = {}
    for metrics in run.epochs():
        if run.best_epoch == metrics.epoch:
            best = copy.deepcopy(run.classifier.state_dict())
    run.classifier.load_state_dict(best)
    return run


def tested(run: TrainingRun, split: Split, seconds: float) -> Tuned:
    """The scores of a training's classifier on the split's test images."""
    compute = run.compute
    pool = split.pool
    val, test = (
        compute_logits(
            run.classifier,
            pool.cache,
            pool.rows[places],
            compute.image_size,
            compute.precision,
            compute.device,
        )
        for places in (split.val, split.test)
    )
    scores = score_logits(test, torch.from_numpy(pool.labels[split.test]))
    return Tuned(
        min(metrics.val_loss for metrics in run.history),
        scores["val_loss"],
        scores["val_accuracy"],
        seconds,
        val.double().numpy(),
        test.double().numpy(),
    )


def mean_and_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of `values` and its 95 % interval by Student's t; one value a split."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=max(error, 1e-12))
    return mean, float(low), float(high)


def compared(values: Sequence[float]) -> str:
    """A paired difference in words: mean, interval and which it says; negative is better."""
    mean, low, high = mean_and_interval(values)
    said = "tie" if low <= 0 <= high else "better" if high < 0 else "worse"
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f}), {said}"


def counted(split: Split) -> str:
    """How many images train, validate and test."""
    return f"{len(split.train)} training, {len(split.val)} validation and {len(split.test)} test images"


def say_tuned(split: Split, name: str, found: Tuned) -> None:
    """A line about the progress."""
    say(
        f"  split {split.seed}, {name}: val {found.val_loss:.4f}, test {found.test_loss:.4f},"
        f" accuracy {found.test_accuracy:.4f}, {found.seconds:.1f} s"
    )
