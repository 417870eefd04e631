"""The linear probe of one backbone: its frozen features, answers out of fold, and the heads that are solved on them.

Every image of training and validation judges: it is answered by a head that was solved without its group. Runs in the
process that asks, or on a GPU in one of its own (run on an NVIDIA H200). What it found is kept for the next probe of
the images; a candidate that fails is no reason to fail.
"""

import hashlib
import math
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables import models
from trainables.errors import Diverged, TunerError, WeightsUnavailable
from trainables.models.candidates import find
from tuner.probing.probed import Probed, Solved, keep, read_kept
from tuner.probing.stage_means import NotedMeans
from tuner.probing.timing import gpu_milliseconds, milliseconds, step_milliseconds
from tuner.runs.hardware import hardware
from tuner.statistics.groups import grouped_folds
from tuner.statistics.log_loss import log_losses
from tuner.statistics.means import half_width

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from trainables.data.cache import ImageCache
    from trainables.frozen_features import FeatureCache
    from trainables.setting import ComputeConfig

__all__ = ["ProbeImages", "ProbeJob", "probe_images_of", "probe_one"]

VERSION = 8
"""Of what is kept of a candidate; raise it when that, or how it is measured, changes."""


@dataclass(frozen=True)
class ProbeImages:
    """The images of a probe, those of training and validation: rows of the cache, class numbers, groups [n].

    `is_validation` [n] says which are of validation.
    """

    cache: "ImageCache"
    classes: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    groups: tuple[str, ...]
    is_validation: npt.NDArray[np.bool_]
    seed: int

    def folds(self) -> npt.NDArray[np.int64]:
        """The fold [n] that holds an image out; below 0 for one that is in every training part."""
        return grouped_folds(self.labels, self.groups, self.seed)


def probe_images_of(split: "pd.DataFrame", cache: Path, classes: tuple[str, ...], seed: int) -> ProbeImages:
    """The training and validation images of `split`, as a probe takes them from the image cache `cache`."""
    from trainables.data.cache import ImageCache
    from trainables.data.split import Split

    opened = ImageCache.open(cache)
    own = Split.of(split, classes).part("train", "val")
    return ProbeImages(
        cache=opened,
        classes=classes,
        rows=opened.rows(own.paths),
        labels=own.numbers,
        groups=tuple(own.groups),
        is_validation=np.asarray([part == "val" for part in own.parts], dtype=np.bool_),
        seed=seed,
    )


@dataclass(frozen=True)
class ProbeJob:
    """One backbone to probe: its name, images, where its weights are from, how it computes, and on how many views."""

    model: str
    images: ProbeImages
    weights: str
    image_size: int
    precision: str
    limit_bytes: int
    views: int = 1


def probe_one(job: ProbeJob) -> tuple[Probed | str, bool, str]:
    """What the probe of `job` showed, whether it was kept from before, and the precision it computed in.

    The first is the reason, in one line, where the candidate can't be probed. Raises what is not its fault.
    """
    import torch

    from trainables.device_errors import release_memory
    from trainables.inference import best_device, choose_precision
    from trainables.setting import ComputeConfig
    from trainables.worker import as_worker

    device = best_device()
    precision = choose_precision(job.precision, device)
    compute = ComputeConfig(job.image_size, job.weights, precision, job.images.seed, device=device)
    with as_worker(torch.get_num_threads()):
        try:
            return *_kept_or_probed(job, compute), precision
        except Exception as error:  # timm's networks raise kinds of their own
            reason = _reason(error, job.image_size)
            if reason is None:
                raise
        release_memory()
    return reason, False, precision


def _reason(error: Exception, image_size: int) -> str | None:
    """Why a candidate that raised `error` can't be probed, in one line; None if that was not its fault."""
    from trainables.device_errors import breaks_process

    if isinstance(error, (Diverged, WeightsUnavailable)):
        return str(error)
    if isinstance(error, (OSError, TunerError)) or breaks_process(error):
        return None
    first = str(error).strip().partition("\n")[0]
    return f"it fails at {image_size} px ({type(error).__name__}: {first})"


def _kept_or_probed(job: ProbeJob, compute: "ComputeConfig") -> tuple[Probed, bool]:
    """What is kept of an equal probe on such a machine, or a new one; and whether it was kept."""
    from trainables.data import cache_home
    from trainables.frozen_features import FeatureCache

    images = job.images
    features = FeatureCache.shared(job.model, images.cache, compute, job.limit_bytes)
    here = hardware()
    # Times are those of a processor and a GPU, wherever the folder of caches is mounted.
    machine = (here["processor"], tuple(here["gpus"]))
    rest = (VERSION, job.views, machine, images.classes, images.seed, *_split_of(images))

    def place() -> Path:
        # The key follows from the weights as they are now.
        digest = hashlib.sha256(repr((*rest, features.key.digest)).encode()).hexdigest()[:24]
        return cache_home() / "probes" / f"{digest}.json"

    try:
        return read_kept(place()), True
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile):
        row = _probe(job, compute, features)
    keep(place(), row)
    return row, False


def _split_of(images: ProbeImages) -> tuple[str, ...]:
    """A digest of which images train and validate, with their labels and groups."""
    parts = (images.rows, images.labels, images.groups, images.is_validation)
    return tuple(hashlib.sha256(repr(list(part)).encode()).hexdigest() for part in parts)


def _probe(job: ProbeJob, compute: "ComputeConfig", features: "FeatureCache") -> Probed:
    """The probe itself; raises Diverged where features or loss are not finite."""
    import torch

    from trainables.inference import placed, score_logits

    started = time.perf_counter()
    name, images = job.model, job.images
    classifier = models.create(
        name, len(images.classes), weights=compute.weights, dropout=0.0, seed=compute.run_seed
    )
    on_processor = milliseconds(classifier, compute)
    in_batch = step_milliseconds(classifier, compute) if compute.device.type == "cpu" else None
    classifier = placed(classifier, compute.device).eval()
    on_gpu = gpu_milliseconds(classifier, compute) if compute.device.type == "cuda" else None
    notes = _notes(images, compute)
    pool = features.validation(classifier, images.rows, notes)
    if odd := int((~pool.isfinite().all(1)).sum()):
        raise Diverged(f"its features of {odd} images are not finite in {compute.precision}")
    mirrored = features.validation(classifier, images.rows, mirrored=True) if job.views == 2 else None
    l2, solved = _solve(pool, mirrored, images, notes)
    held = images.folds() >= 0
    logits, truth = torch.from_numpy(solved.out_of_fold[held]), torch.from_numpy(images.labels[held])
    scores = score_logits(logits, truth)
    if not math.isfinite(scores["val_loss"]):
        raise Diverged("its log loss is not finite")
    losses = log_losses(logits.numpy(), images.labels[held])
    half = half_width(losses, np.asarray(images.groups)[held])
    known = find(name)
    parameters = sum(p.numel() for p in classifier.backbone.parameters())
    return Probed(
        model=name,
        family=None if known is None else known.family,
        licence=None if known is None else known.licence,
        parameters=parameters,
        megabytes=sum(p.numel() * p.element_size() for p in classifier.backbone.parameters()) / 1e6,
        features=classifier.width,
        milliseconds=on_processor,
        gpu_milliseconds=on_gpu,
        step_milliseconds=in_batch,
        l2=l2,
        log_loss=scores["val_loss"],
        low=None if half is None else max(0.0, scores["val_loss"] - half),
        high=None if half is None else scores["val_loss"] + half,
        accuracy=scores["val_accuracy"],
        balanced_accuracy=scores["val_balanced_accuracy"],
        seconds=time.perf_counter() - started,
        losses=tuple(map(float, losses)),
        image_size=compute.image_size,
        views=job.views,
        solved=solved,
    )


def _notes(images: ProbeImages, compute: "ComputeConfig") -> NotedMeans | None:
    """What notes the stages' means, of fp32 or nearly so in bf16; on a GPU they would hold up the pictures."""
    quick = compute.device.type == "cpu"
    return NotedMeans(images.is_validation) if quick else None


def _solve(
    features: "torch.Tensor", mirrored: "torch.Tensor | None", images: ProbeImages, notes: NotedMeans | None
) -> tuple[float, Solved]:
    """The penalty, and the heads with it, of `features` [n, d] of all images; beside them what was noted.

    The heads are solved on the features of the `mirrored` images as well; what they answer are the images alone.
    """
    import torch
    from torch.nn import functional as F

    from trainables.linear_probe import out_of_fold, solve

    labels, count = torch.from_numpy(images.labels), len(images.classes)
    views = [features] if mirrored is None else [features, mirrored]
    every, of = torch.cat(views), labels.repeat(len(views))
    found = out_of_fold(every, of, count, torch.from_numpy(images.folds()).repeat(len(views)))
    train = torch.from_numpy(~images.is_validation)
    weights, biases = solve(every, of, count, l2=found.l2)
    chosen = train.repeat(len(views))
    own = solve(every[chosen], of[chosen], count, l2=found.l2)
    answers, fitted = F.linear(features[~train], *own), F.linear(features[train], *own)
    right = (fitted.argmax(1) == labels[train]).float().mean()
    scores = torch.stack([F.cross_entropy(fitted, labels[train]), right])
    arrays = (found.logits[: len(features)], weights, biases, *own, answers, scores)
    nothing = np.empty((0, 0), dtype=np.float32)
    means = (nothing, nothing) if notes is None else notes.found()
    return found.l2, Solved(*(np.asarray(one.float().numpy()) for one in arrays), *means)
