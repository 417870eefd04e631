"""Which pretrained backbone suits the images: a linear probe on the frozen features of each candidate.

The images go through the cache once and the features into the feature cache, where frozen trials of a later search find
those of the validation images. The penalty is chosen by grouped cross-validation inside the training images; the score
is that of the validation images. The test images are not read.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainables.models.selection import RANDOM_WEIGHTS, Origins, backbones_of, none_can, with_weights
from tuner.cluster.isolated import results_apart
from tuner.console.reporter import Reporter, clock
from tuner.dataset.config import DataConfig
from tuner.dataset.loading import Examined, build_run_cache, scan_and_split
from tuner.probing.linear import Probed, ProbeJob, probe_images_of, probe_one
from tuner.statistics.means import half_width

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Probe", "Probed", "SplitImages", "advised", "probe", "probe_images", "tied"]


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
    fit: str = "crop"

    def document(self) -> dict[str, Any]:
        """All of it in plain values, as `--json` prints and a run's directory keeps it."""
        alike = tied(self)
        return {
            "backbones": [{**one.row(), "tied_with_best": one.model in alike} for one in self.rows],
            "advised": list(advised(self)),
            "passed_over": [{"model": name, "reason": reason} for name, reason in self.passed_over.items()],
            "images": dict(self.images),
            "image_size": self.image_size,
            "fit": self.fit,
            "precision": self.precision,
            "seconds": self.seconds,
        }


def probe(config: DataConfig, backbones: str = "auto", reporter: Reporter | None = None) -> Probe:
    """Probe the candidates `backbones` on the images of `config`; raises UserMistake for whatever a person can mend.

    Raises WeightsUnavailable, with the ways out, if no candidate has weights, before any image is read; InvalidValue if
    none can be probed.
    """
    from trainables.inference import best_device

    reporter = reporter or Reporter()
    names = backbones_of(backbones, best_device().type)
    origins = with_weights(names, config.weights, config.weights_dir, config.side(), [RANDOM_WEIGHTS])
    for note in origins.notes:
        reporter.warn(note)
    found = scan_and_split(config, reporter)
    return probe_images(config, SplitImages.of(found), origins, reporter)


def probe_images(
    config: DataConfig,
    found: SplitImages,
    origins: Origins,
    reporter: Reporter,
) -> Probe:
    """Probe the models that `origins` has weights of on images that are split already.

    One that can't be probed is passed over with the reason; raises InvalidValue if none can. What computes on a GPU is
    a process of its own, and over when the search begins.
    """
    from trainables.inference import best_device

    started = time.perf_counter()
    image_size = config.side()
    cache_path = build_run_cache(found.folder, found.split, found.hashes, image_size, config.fit, reporter)
    images = probe_images_of(found.split, cache_path, found.classes, config.seed)
    weights, limit = origins.weights, config.feature_cache_bytes
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
        raise none_can(failed)
    return Probe(
        rows=tuple(sorted(rows, key=lambda one: one.log_loss)),
        passed_over={**origins.passed_over, **failed},
        groups=tuple(images.val_groups),
        images={part: int((found.split["split"] == part).sum()) for part in ("train", "val")},
        image_size=image_size,
        precision=precision,
        seconds=time.perf_counter() - started,
        again=again,
        fit=config.fit,
    )


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
