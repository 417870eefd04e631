"""Which pretrained backbone suits the images: a linear probe on the frozen features of each candidate.

The images go through the cache once and the features into the feature cache, where frozen trials of a later search find
those of the validation images. The penalty is chosen by grouped cross-validation inside the training images; the score
is that of the validation images. The test images are not read.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables import models
from trainables.data.decode import printable
from trainables.data.walk import require_folder
from trainables.errors import InvalidValue, WeightsUnavailable
from trainables.models.candidates import CANDIDATES, SMALL_MILLIONS, find
from tuner.tracking.reporter import Reporter, clock
from tuner.tuning.config import SearchConfig, image_size_of
from tuner.tuning.data import Examined, build_run_cache, scan_and_split, ways_out
from tuner.tuning.group_statistics import grouped_folds, half_width

if TYPE_CHECKING:
    import pandas as pd

    from trainables.data.cache import ImageCache
    from trainables.models.classifier import Classifier
    from trainables.setting import ComputeConfig

__all__ = ["Probe", "Probed", "advised", "backbones_of", "probe", "probe_images", "tied", "with_weights"]

VERSION = 2
"""Of what is kept of a candidate; raise it when that, or how it is measured, changes."""

WITHOUT = "its pretrained weights are neither cached nor downloadable"
TIMED_IMAGES = 5


@dataclass(frozen=True)
class Probed:
    """What a linear probe on one backbone showed.

    `log_loss`, in nats per image, and the accuracies are of the validation images; `low` and `high` hold the loss with
    95 % confidence, whole groups being what varies. `milliseconds` are those of one image on one thread of this
    machine's processor, the backbone alone; `seconds` is what the probe took. `losses` [n] are those of the single
    validation images, in the order of the split.
    """

    model: str
    family: str | None
    licence: str | None
    parameters: int
    megabytes: float
    features: int
    milliseconds: float
    l2: float
    log_loss: float
    low: float | None
    high: float | None
    accuracy: float
    balanced_accuracy: float
    seconds: float
    losses: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """The fields without the single losses."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "losses"}


@dataclass(frozen=True)
class Probe:
    """The candidates that were probed, best first, and why others were not.

    `groups` [n] are those of the validation images. `again` counts those whose result was kept from an earlier probe.
    """

    rows: tuple[Probed, ...]
    passed_over: Mapping[str, str]
    groups: tuple[str, ...]
    images: Mapping[str, int]
    image_size: int
    precision: str
    seconds: float
    again: int

    def document(self) -> dict[str, Any]:
        """All of it in plain values, as `--json` prints and a run's directory keeps it."""
        alike = tied(self)
        return {
            "backbones": [{**one.row(), "tied_with_best": one.model in alike} for one in self.rows],
            "advised": list(advised(self)),
            "passed_over": [{"model": name, "reason": reason} for name, reason in self.passed_over.items()],
            "images": dict(self.images),
            "image_size": self.image_size,
            "precision": self.precision,
            "seconds": self.seconds,
        }


def backbones_of(wanted: str, device: str) -> tuple[str, ...]:
    """The models that `wanted` names: auto, small, all, or names with commas between.

    `small` are the candidates of up to `SMALL_MILLIONS` million parameters, `auto` those on a processor and all on a
    GPU. Raises UnknownName for a model that nobody has, InvalidValue for none at all.
    """
    if wanted in ("auto", "small", "all"):
        small = wanted == "small" or (wanted == "auto" and device == "cpu")
        return tuple(one.name for one in CANDIDATES if not small or one.millions <= SMALL_MILLIONS)
    names = tuple(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))
    if not names:
        raise InvalidValue(f"--backbones {wanted!r} names no model; auto, small, all or names would")
    for name in names:
        models.check(name)
    return names


def probe(config: SearchConfig, backbones: str = "auto", reporter: Reporter | None = None) -> Probe:
    """Probe the candidates `backbones` on the images of `config`; raises UserMistake for whatever a person can mend.

    Raises WeightsUnavailable, with the ways out, if no candidate has weights; before any image is read.
    """
    from trainables.inference import best_device

    reporter = reporter or Reporter()
    weights, passed_over = with_weights(config, backbones_of(backbones, best_device().type))
    found = scan_and_split(config, reporter)
    return probe_images(config, found, weights, passed_over, reporter)


def probe_images(
    config: SearchConfig,
    found: Examined,
    weights: Mapping[str, str],
    passed_over: Mapping[str, str],
    reporter: Reporter,
) -> Probe:
    """Probe the models that `weights` names on images that are split already."""
    from trainables.inference import best_device, choose_precision
    from trainables.setting import ComputeConfig

    started = time.perf_counter()
    device = best_device()
    image_size = image_size_of(config)
    cache_path = build_run_cache(found.scan.folder, found.split, found.hashes, image_size, reporter)
    precision = choose_precision(config.precision, device)
    images = _images(found.split, cache_path, tuple(map(str, found.scan.classes)), config.seed)
    rows, again = [], 0
    with reporter.progress("probing backbones") as progress:
        for number, (name, origin) in enumerate(weights.items()):
            compute = ComputeConfig(image_size, origin, precision, config.seed, device=device)
            row, kept = _kept_or_probed(name, images, compute, config.feature_cache_bytes)
            again += kept
            rows.append(row)
            reporter.line(
                f"{name}: log loss {row.log_loss:.4f}, {row.milliseconds:.1f} ms an image"
                + (", kept from an earlier probe" if kept else f", probed in {clock(row.seconds)}")
            )
            if progress is not None:
                progress(number + 1, len(weights))
    return Probe(
        rows=tuple(sorted(rows, key=lambda one: one.log_loss)),
        passed_over=passed_over,
        groups=tuple(images.val_groups),
        images={part: int((found.split["split"] == part).sum()) for part in ("train", "val")},
        image_size=image_size,
        precision=precision,
        seconds=time.perf_counter() - started,
        again=again,
    )


def with_weights(config: SearchConfig, names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Where each model has its weights from, and why others have none; raises WeightsUnavailable if none has any.

    A file in --weights-dir that does not fit its model raises WeightsUnavailable, too.
    """
    if config.weights == "none":
        return dict.fromkeys(names, "none"), {}
    if config.weights not in ("auto", "imagenet"):
        raise InvalidValue(f"--weights {config.weights} fits one model; a probe takes --weights-dir DIR")
    folder = config.weights_dir and config.weights_dir.expanduser().resolve()
    if folder is not None:
        require_folder(folder, f"--weights-dir {printable(folder)} must be a folder of weights")
    origins = {name: models.weights_origin(name, str(folder)) if folder else "imagenet" for name in names}
    asked = [name for name, origin in origins.items() if origin == "imagenet"]
    for name in asked:
        models.check(name)
    # Whether a server answers may take seconds; all are asked at once.
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        available = dict(zip(asked, pool.map(models.weights_available, asked), strict=True))
    weights = {name: origin for name, origin in origins.items() if available.get(name, True)}
    passed_over = {name: WITHOUT for name in names if name not in weights}
    for name, origin in weights.items():
        if origin != "imagenet":
            models.create(name, 2, weights=origin)
    if not weights:
        raise WeightsUnavailable(
            f"none of the {len(names)} backbones has pretrained weights here, cached or downloadable; {ways_out()}"
        )
    return weights, passed_over


@dataclass(frozen=True)
class _Images:
    """The images of a probe: rows of the cache, class numbers and groups of training and validation."""

    cache: "ImageCache"
    classes: tuple[str, ...]
    train_rows: npt.NDArray[np.int64]
    train_labels: npt.NDArray[np.int64]
    train_groups: Sequence[str]
    val_rows: npt.NDArray[np.int64]
    val_labels: npt.NDArray[np.int64]
    val_groups: Sequence[str]
    seed: int


def _images(split: "pd.DataFrame", cache: Path, classes: tuple[str, ...], seed: int) -> _Images:
    from trainables.data.cache import ImageCache

    opened = ImageCache.open(cache)

    def part(name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]:
        own = split[split["split"] == name]
        labels = np.array([classes.index(str(label)) for label in own["label"]], dtype=np.int64)
        return opened.rows(own["path"].tolist()), labels, own["group"].astype(str).tolist()

    return _Images(opened, classes, *part("train"), *part("val"), seed)


def _kept_or_probed(
    name: str, images: _Images, compute: "ComputeConfig", limit_bytes: int
) -> tuple[Probed, bool]:
    """What is kept of an equal probe, or a new one; and whether it was kept."""
    from trainables.data import cache_home
    from trainables.frozen_features import FeatureCache

    features = FeatureCache.shared(name, images.cache, compute, limit_bytes)
    rest = (VERSION, features.key.digest, images.classes, images.seed, *_split_of(images))
    digest = hashlib.sha256(repr(rest).encode()).hexdigest()[:24]
    file = cache_home() / "probes" / f"{digest}.json"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Probed(**{**kept, "losses": tuple(kept["losses"])}), True
    except (OSError, ValueError, TypeError, KeyError):
        row = _probe(name, images, compute, features)
    from tuner.runs.directory import write_atomically

    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        file, lambda path: path.write_text(json.dumps(dataclasses.asdict(row)), encoding="utf-8")
    )
    return row, False


def _split_of(images: _Images) -> tuple[str, ...]:
    """A digest of which images train and validate, with their labels and groups."""
    parts = (
        *(images.train_rows, images.train_labels, images.train_groups),
        *(images.val_rows, images.val_labels, images.val_groups),
    )
    return tuple(hashlib.sha256(repr(list(part)).encode()).hexdigest() for part in parts)


def _probe(name: str, images: _Images, compute: "ComputeConfig", features: Any) -> Probed:
    import torch
    from torch.nn import functional as F

    from trainables.inference import placed, score_logits
    from trainables.linear_probe import choose_l2, solve

    started = time.perf_counter()
    classifier = models.create(
        name, len(images.classes), weights=compute.weights, dropout=0.0, seed=compute.run_seed
    )
    milliseconds = _milliseconds(classifier, compute)
    classifier = placed(classifier, compute.device).eval()
    train, val = (features.validation(classifier, rows) for rows in (images.train_rows, images.val_rows))
    labels, truth = torch.from_numpy(images.train_labels), torch.from_numpy(images.val_labels)
    folds = torch.from_numpy(grouped_folds(images.train_labels, images.train_groups, images.seed))
    l2, _ = choose_l2(train, labels, len(images.classes), folds)
    logits = F.linear(val, *solve(train, labels, len(images.classes), l2=l2))
    scores = score_logits(logits, truth)
    losses = F.cross_entropy(logits.double(), truth, reduction="none").numpy()
    half = half_width(losses, images.val_groups)
    known = find(name)
    parameters = sum(p.numel() for p in classifier.backbone.parameters())
    return Probed(
        model=name,
        family=None if known is None else known.family,
        licence=None if known is None else known.licence,
        parameters=parameters,
        megabytes=sum(p.numel() * p.element_size() for p in classifier.backbone.parameters()) / 1e6,
        features=classifier.width,
        milliseconds=milliseconds,
        l2=l2,
        log_loss=scores["val_loss"],
        low=None if half is None else scores["val_loss"] - half,
        high=None if half is None else scores["val_loss"] + half,
        accuracy=scores["val_accuracy"],
        balanced_accuracy=scores["val_balanced_accuracy"],
        seconds=time.perf_counter() - started,
        losses=tuple(map(float, losses)),
    )


def _milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image through the backbone, on one thread of the processor."""
    import torch

    from trainables.inference import autocast

    cpu, threads = torch.device("cpu"), torch.get_num_threads()
    precision = compute.precision if compute.device.type == "cpu" else "fp32"
    image = torch.zeros(1, 3, compute.image_size, compute.image_size).to(memory_format=torch.channels_last)
    classifier = classifier.eval()
    times = []
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(), autocast(cpu, precision):
            for _ in range(TIMED_IMAGES + 1):
                started = time.perf_counter()
                classifier.features(image)
                times.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return 1e3 * float(np.median(times[1:]))


def tied(found: Probe) -> tuple[str, ...]:
    """The models whose loss can't be told from the best one's, that included.

    The 95 % interval of their mean difference, image by image over whole groups, holds 0.
    """
    best = found.rows[0]
    alike = [best.model]
    for one in found.rows[1:]:
        difference = np.asarray(one.losses) - np.asarray(best.losses)
        half = half_width(difference, found.groups)
        if half is None or abs(difference.mean()) <= half:
            alike.append(one.model)
    return tuple(alike)


def advised(found: Probe, best: int = 2) -> tuple[str, ...]:
    """What to fine-tune: the `best` by validation loss, and the cheapest that is tied with the best of them."""
    alike = set(tied(found))
    cheapest = min((one for one in found.rows if one.model in alike), key=lambda one: one.milliseconds)
    return tuple(dict.fromkeys([*(one.model for one in found.rows[:best]), cheapest.model]))
