"""Which pretrained backbone suits the images: a linear probe on the frozen features of each candidate.

The images go through the cache once and the features into the feature cache, where frozen trials of a later search find
those of the validation images. The penalty is chosen by grouped cross-validation inside the training images; the score
is that of the validation images. The test images are not read.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainables import models
from trainables.errors import InvalidValue, WeightsUnavailable
from trainables.folders import require_folder
from trainables.image_size import trouble_at
from trainables.models.candidates import CANDIDATES, SMALL_MILLIONS
from trainables.models.selection import unused, without_weights
from trainables.wording import printable, some
from tuner.cluster.isolated import results_apart
from tuner.console.reporter import Reporter, clock
from tuner.dataset.loading import (
    ONE_FILE,
    RANDOM_WEIGHTS,
    Examined,
    build_run_cache,
    scan_and_split,
    ways_out,
)
from tuner.probe.linear import Probed, ProbeJob, probe_images_of, probe_one
from tuner.statistics.groups import half_width
from tuner.tuning.config import SearchConfig, image_size_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Probe",
    "Probed",
    "SplitImages",
    "advised",
    "backbones_of",
    "probe",
    "probe_images",
    "tied",
    "with_weights",
]

NAMED_SETS = ("auto", "small", "all")
"""Words for several candidates."""

WITHOUT = "its pretrained weights are neither cached nor downloadable"


@dataclass(frozen=True)
class SplitImages:
    """What a probe reads: a folder, the names of the classes, the split, and the hash of each image's pixels by path.

    Only the training and validation images of `split` are read.
    """

    folder: Path
    classes: tuple[str, ...]
    split: "pd.DataFrame"
    hashes: Mapping[str, str]

    @classmethod
    def of(cls, found: Examined) -> "SplitImages":
        """Those of a search that is being prepared."""
        return cls(found.scan.folder, tuple(map(str, found.scan.classes)), found.split, found.hashes)


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
    if wanted in NAMED_SETS:
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

    Raises WeightsUnavailable, with the ways out, if no candidate has weights, before any image is read; InvalidValue if
    none can be probed.
    """
    from trainables.inference import best_device

    reporter = reporter or Reporter()
    names = backbones_of(backbones, best_device().type)
    weights, passed_over = with_weights(config, names, reporter, [RANDOM_WEIGHTS])
    found = scan_and_split(config, reporter)
    return probe_images(config, SplitImages.of(found), weights, passed_over, reporter)


def probe_images(
    config: SearchConfig,
    found: SplitImages,
    weights: Mapping[str, str],
    passed_over: Mapping[str, str],
    reporter: Reporter,
) -> Probe:
    """Probe the models that `weights` names on images that are split already.

    One that can't be probed is passed over with the reason; raises InvalidValue if none can. What computes on a GPU is
    a process of its own, and over when the search begins.
    """
    from trainables.inference import best_device

    started = time.perf_counter()
    image_size = image_size_of(config)
    cache_path = build_run_cache(found.folder, found.split, found.hashes, image_size, reporter)
    images = probe_images_of(found.split, cache_path, found.classes, config.seed)
    limit = config.feature_cache_bytes
    jobs = [
        ProbeJob(name, images, origin, image_size, config.precision, limit)
        for name, origin in weights.items()
    ]
    results = map(probe_one, jobs) if best_device().type == "cpu" else results_apart(probe_one, jobs)
    rows, failed, again, precision = [], {}, 0, config.precision
    with reporter.progress("probing backbones") as progress:
        for number, (name, (shown, kept, used)) in enumerate(zip(weights, results, strict=True)):
            again, precision = again + kept, used
            if isinstance(shown, Probed):
                rows.append(shown)
                reporter.line(
                    f"{name}: log loss {shown.log_loss:.4f}, {shown.milliseconds:.1f} ms an image"
                    + (", kept from an earlier probe" if kept else f", probed in {clock(shown.seconds)}")
                )
            else:
                failed[name] = shown
                reporter.warn(f"{name} is passed over: {shown}")
            if progress is not None:
                progress(number + 1, len(weights))
    if not rows:
        raise _none_can(failed)
    return Probe(
        rows=tuple(sorted(rows, key=lambda one: one.log_loss)),
        passed_over={**passed_over, **failed},
        groups=tuple(images.val_groups),
        images={part: int((found.split["split"] == part).sum()) for part in ("train", "val")},
        image_size=image_size,
        precision=precision,
        seconds=time.perf_counter() - started,
        again=again,
    )


def with_weights(
    config: SearchConfig, names: Sequence[str], reporter: Reporter, ways: Sequence[str] = ()
) -> tuple[dict[str, str], dict[str, str]]:
    """Where each model has its weights from, and why others are passed over.

    Raises WeightsUnavailable if none has any, InvalidValue if none takes images of the size that `config` asks for.
    A file in --weights-dir that does not fit its model raises WeightsUnavailable, too; files there that are named as
    none of the models are told. `ways` are ways out that only the command at work has.
    """
    if config.weights == "none":
        return _that_take(dict.fromkeys(names, "none"), {}, image_size_of(config), reporter)
    if config.weights not in ("auto", "imagenet"):
        raise InvalidValue(
            f"--weights {config.weights} fits one model; a probe takes --weights-dir DIR, a search {ONE_FILE}"
        )
    folder = config.weights_dir and config.weights_dir.expanduser().resolve()
    if folder is not None:
        require_folder(folder, f"--weights-dir {printable(folder)} must be a folder of weights")
    origins = {name: models.weights_origin(name, str(folder)) if folder else "imagenet" for name in names}
    asked = [name for name, origin in origins.items() if origin == "imagenet"]
    for name in asked:
        models.check(name)
    missing = without_weights(asked)
    weights = {name: origin for name, origin in origins.items() if name not in missing}
    passed_over = {name: WITHOUT for name in names if name not in weights}
    for name, origin in weights.items():
        if origin != "imagenet":
            models.create(name, 2, weights=origin)
    idle = [] if folder is None else unused(folder, names)
    if not weights:
        where = "here" if folder is None else f"in {printable(folder)}"
        none = f"none of the {len(names)} backbones has pretrained weights {where}, cached or downloadable"
        raise WeightsUnavailable("; ".join([f"{none} ({some(names)})", *idle, ways_out(*ways)]))
    for sentence in idle:
        reporter.warn(sentence)
    return _that_take(weights, passed_over, image_size_of(config), reporter)


def _that_take(
    weights: Mapping[str, str], passed_over: Mapping[str, str], image_size: int, reporter: Reporter
) -> tuple[dict[str, str], dict[str, str]]:
    """The same without the models that can't take images of that size; raises InvalidValue if none can."""
    failing = {name: trouble for name in weights if (trouble := trouble_at(name, image_size)) is not None}
    for name, trouble in failing.items():
        reporter.warn(f"{name} is passed over: {trouble}")
    if len(failing) == len(weights):
        raise _none_can(failing)
    fitting = {name: origin for name, origin in weights.items() if name not in failing}
    return fitting, {**passed_over, **failing}


def _none_can(failed: Mapping[str, str]) -> InvalidValue:
    name, reason = next(iter(failed.items()))
    return InvalidValue(f"none of the {len(failed)} backbones can be probed; {name}: {reason}")


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
