"""Who competes in `gpu.py` over one epoch: tuner, the study's loop, a good hand-written loop, and the bound.

Imports no pandas, pyarrow, optuna or ray: a machine with a GPU may have none of them.
"""

import gc
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import v2

from benchmarks.speed import plain
from trainables import augmentations
from trainables.config import TrialConfig
from trainables.data.cache import ImageCache, build_cache
from trainables.frozen_features import FeatureCache, FeatureKey
from trainables.inference import autocast, choose_precision
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun
from trainables.trial_data import TrialData, load_trial_data
from trainables.worker import prepare_worker

SIDE = 256
CLASSES = ("early", "healthy", "late")
EVAL_BATCH = 128
FEATURE_BYTES = 2**32

Epoch = Callable[[], object]


@dataclass(frozen=True)
class Pictures:
    """Drawn pictures as JPEG files: class folders below `train` and `val`, and tuner's rows (path, label, part)."""

    folder: Path
    rows: tuple[tuple[str, str, str], ...]
    classes: tuple[str, ...] = CLASSES

    @property
    def train(self) -> Path:
        """The training images by class."""
        return self.folder / "train"

    @property
    def val(self) -> Path:
        """The validation images by class."""
        return self.folder / "val"

    def count(self, part: str) -> int:
        """Images of a part."""
        return sum(where == part for _, _, where in self.rows)


@dataclass(frozen=True)
class Job:
    """One contender's task: pictures, model, images a batch, side in pixels, device and loading processes."""

    pictures: Pictures
    model: str
    batch: int
    size: int
    device: str
    workers: int
    strategy: str = "full"

    @property
    def config(self) -> TrialConfig:
        """The trial's configuration, with more epochs than anybody measures."""
        settings = {"model": self.model, "strategy": self.strategy, "batch_size": self.batch}
        return TrialConfig.resolve({**settings, "max_epochs": 1000, "patience": 0})

    @property
    def precision(self) -> str:
        """What tuner chooses for the device."""
        return choose_precision("auto", torch.device(self.device))


@contextmanager
def drawn_pictures(train: int, val: int) -> Iterator[Pictures]:
    """So many smooth noisy pictures of 256 px a side in a temporary folder, the classes in turn."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="benchmark-gpu-") as place:
        rows = []
        for part, count in (("train", train), ("val", val)):
            for number in range(count):
                label = CLASSES[number % len(CLASSES)]
                path = Path(place) / part / label / f"{number:05d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                coarse = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
                cv2.imwrite(str(path), picture)
                rows.append((str(path.relative_to(place)), label, part))
        yield Pictures(Path(place), tuple(rows))


def trial_data(job: Job) -> TrialData:
    """The pictures as a trial reads them."""
    pictures = job.pictures
    paths = [path for path, _, _ in pictures.rows]
    cache = build_cache(pictures.folder, paths, paths, job.size, cache_dir=pictures.folder / "cache")
    return load_trial_data(ImageCache.open(cache), pictures.rows, pictures.classes)


def training_run(job: Job, features: Path | None = None, precision: str | None = None) -> TrainingRun:
    """A trial as tuner's workers make it, with a feature cache in the folder `features` if one is given."""
    prepare_worker(torch.get_num_threads())
    device, data = torch.device(job.device), trial_data(job)
    compute = ComputeConfig(job.size, precision=precision or job.precision, device=device)
    feature_cache = None
    if features is not None:
        key = FeatureKey(job.model, "none", 0, data.cache.path.name, job.size, compute.precision, device.type)
        feature_cache = FeatureCache(key, data.cache, device, FEATURE_BYTES, features)
    return TrainingRun(job.config, data, compute, feature_cache)


def tuner_epoch(job: Job) -> Epoch:
    """Training and validation as tuner does them."""
    run = training_run(job)
    run.step()
    return run.step


def study_epoch(job: Job) -> Epoch:
    """The study's loop in fp32, with its loading processes."""
    epochs = plain.fit(job.pictures, job.config, job.size, workers=job.workers, device=job.device)
    next(epochs)
    return partial(next, epochs)


def handwritten_epoch(job: Job) -> Epoch:
    """What somebody who knows GPUs would write: channels_last, bf16, fused Adam, augmentation on the device.

    Pictures are decoded by the loading processes and go through pinned memory; a batch is augmented as a whole, by one
    draw, as torchvision does. Nothing is read back before the end of an epoch.
    """
    device = torch.device(job.device)
    model = plain.build(job.config, len(CLASSES)).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    train, val = (_uint8_loader(job, part) for part in ("train", "val"))
    policy = augmentations.get("moderate")
    colours = policy.brightness, policy.contrast, policy.saturation, policy.hue
    augmented = v2.Compose(
        [
            v2.RandomResizedCrop(job.size, scale=policy.crop_scale, ratio=policy.crop_ratio, antialias=False),
            v2.RandomHorizontalFlip(policy.flip),
            v2.RandomRotation(policy.rotation),
            v2.RandomApply([v2.ColorJitter(*colours)], p=policy.jitter),
            v2.RandomAffine(policy.affine_rotation, (policy.translate,) * 2, policy.affine_scale),
            v2.GaussianBlur(3, sigma=policy.sigma),
        ]
    )
    middle = v2.CenterCrop(job.size)
    mean, std = (torch.tensor(x, device=device).reshape(1, 3, 1, 1) * 255 for x in (plain.MEAN, plain.STD))

    def forward(pictures: Tensor, shown: Callable[[Tensor], Tensor]) -> Tensor:
        images = shown(pictures.to(device, non_blocking=True)).float().sub_(mean).div_(std)
        with autocast(device, job.precision):
            logits: Tensor = model(images.contiguous(memory_format=torch.channels_last))
        return logits.float()

    def epoch() -> float:
        total = torch.zeros((), device=device)
        model.train()
        for pictures, labels in train:
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(
                forward(pictures, augmented), labels.to(device, non_blocking=True)
            )
            loss.backward()
            optimizer.step()
            total += loss.detach()
        model.eval()
        with torch.inference_mode():
            for pictures, labels in val:
                logits = forward(pictures, middle)
                total += nn.functional.cross_entropy(logits, labels.to(device, non_blocking=True))
        return float(total)

    epoch()
    return epoch


def _uint8_loader(job: Job, part: str) -> "DataLoader[tuple[Tensor, Tensor]]":
    shown = v2.Compose([v2.PILToTensor(), v2.Resize((SIDE, SIDE), antialias=True)])
    return DataLoader(
        datasets.ImageFolder(str(getattr(job.pictures, part)), shown),
        job.batch if part == "train" else EVAL_BATCH,
        shuffle=part == "train",
        num_workers=job.workers,
        multiprocessing_context="fork" if job.workers else None,
        persistent_workers=job.workers > 0,
        pin_memory=job.device == "cuda",
    )


def seconds(work: Epoch, device: str) -> float:
    """How long `work` takes until the device has done it."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def synchronisations(work: Epoch) -> int:
    """How often `work` makes the processor wait for the GPU, as torch counts them."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing CUDA operation" in str(one.message) for one in said)


def forget(device: str) -> None:
    """Hand back what nothing refers to any more."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
