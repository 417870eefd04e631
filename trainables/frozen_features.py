"""Outputs of a frozen backbone, computed once a machine and shared by trials through memory-mapped files.

While the backbone is frozen, image i in epoch e under its t-th drawing gives the same features in every trial
with the same weights, image size, images, augmentation, seed and precision. One file holds the features of one
(augmentation, epoch, drawing) [n, d] in float32, with a mask of what is filled in; validation has one for all. What
trials with auxiliary heads train on, the features and the pooled aux_inputs beside them, has files of its own. Whoever
misses rows fills them in under the file's lock, which a process that dies does not keep.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainables import augmentations, models
from trainables.data import cache_home
from trainables.data.augment import MAX_OCCURRENCES
from trainables.data.batches import Rows, eval_batches, normalise, picture_batches
from trainables.data.cache import ImageCache
from trainables.device_errors import in_smaller_batches
from trainables.inference import autocast
from trainables.locks import LockHeld, locked
from trainables.models.classifier import Classifier, flat
from trainables.readback import read_back_each
from trainables.setting import ComputeConfig

VERSION = 2
"""Of the file format and of how policies are applied; raise it when either changes what is stored."""

BATCH = 128

Floats = npt.NDArray[np.float32]
Compute = Callable[[Rows], Iterator[Tensor]]


@dataclass(frozen=True)
class FeatureKey:
    """What the features depend on besides epoch, drawing and image.

    The augmentation names the files of training in one folder: validation's do not depend on it.
    """

    model: str
    weights: str
    run_seed: int
    images: str
    image_size: int
    precision: str
    device: str
    augmentation: str = augmentations.DEFAULT

    @property
    def digest(self) -> str:
        """A folder name."""
        weights = _content(models.weights_origin(self.model, self.weights))
        text = repr((VERSION, torch.__version__, replace(self, augmentation="", weights=weights)))
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def policy(self) -> str:
        """The augmentation's name and numbers, for a file name: a policy that changes leaves its old files alone."""
        return f"{self.augmentation}-{augmentations.get(self.augmentation).digest}"


class FeatureCache:
    """The features of one trial's frozen backbone, read from `folder` or computed into it.

    `limit_bytes` bounds all feature caches in `folder` together; the least recently used files go first.
    """

    def __init__(
        self,
        key: FeatureKey,
        cache: ImageCache,
        device: torch.device,
        limit_bytes: int,
        folder: Path | None = None,
    ) -> None:
        self.key, self.cache, self.device, self.limit_bytes = key, cache, device, limit_bytes
        self.home = folder or cache_home() / "features"
        self.folder = self.home / key.digest
        self.batch_size = BATCH

    @classmethod
    def shared(
        cls, model: str, cache: ImageCache, compute: ComputeConfig, limit_bytes: int, augmentation: str = ""
    ) -> "FeatureCache":
        """The features of `model` on the images of `cache` that all who compute like `compute` share.

        `augmentation` is that of training pictures; validation's features do not depend on it.
        """
        key = FeatureKey(
            model=model,
            weights=compute.weights,
            run_seed=compute.run_seed,
            images=cache.path.name,
            image_size=compute.image_size,
            precision=compute.precision,
            device=compute.device.type,
            augmentation=augmentation or augmentations.DEFAULT,
        )
        return cls(key, cache, compute.device, limit_bytes)

    def fits(self, num_images: int, width: int) -> bool:
        """Whether one epoch of `num_images` fits within the limit at all."""
        return num_images * width * 4 <= self.limit_bytes

    def compute_in_parts(self, parts: int) -> None:
        """Run the backbone on at most `BATCH` / `parts` images at once."""
        self.batch_size = max(1, min(self.batch_size, BATCH // parts))

    def train(
        self, classifier: Classifier, rows: Rows, turns: Rows, epoch: int, *, aux_inputs: bool = False
    ) -> Tensor:
        """Features [len(rows), d] of the cached images `rows` as augmented in `epoch` at their drawing `turns`.

        They are on the host, for an epoch of them may be more than a device holds. With `aux_inputs` they are flat:
        the auxiliary heads' inputs follow in the same row.
        """
        found: Floats | None = None
        turns = turns % MAX_OCCURRENCES
        for turn in np.unique(turns).tolist():
            where = np.flatnonzero(turns == turn)

            def compute(missing: Rows, turn: int = turn) -> Iterator[Tensor]:
                drawn = np.full(len(missing), turn, dtype=np.int64)
                return self._run(classifier, self._pictures(missing, drawn, epoch), aux_inputs)

            name = f"train-{self.key.policy}-{epoch:05d}-{turn}" + ("-aux_inputs" if aux_inputs else "")
            part = self._read(name, rows[where], classifier.flat_width(aux_inputs), compute)
            if found is None:
                found = np.empty((len(rows), part.shape[1]), np.float32)
            found[where] = part
        if found is None:
            raise ValueError("no images to compute features of")
        return torch.from_numpy(found)

    def validation(self, classifier: Classifier, rows: Rows) -> Tensor:
        """Features [len(rows), d] of the cached images `rows` as validation sees them, on the host."""

        def compute(missing: Rows) -> Iterator[Tensor]:
            batches = eval_batches(
                self.cache,
                missing,
                batch_size=self.batch_size,
                image_size=self.key.image_size,
                device=self.device,
                again=True,
            )
            return self._run(classifier, batches)

        return torch.from_numpy(self._read("validation", rows, classifier.width, compute))

    def _pictures(self, rows: Rows, turns: Rows, epoch: int) -> Iterator[Tensor]:
        return picture_batches(
            self.cache,
            rows,
            turns,
            epoch=epoch,
            run_seed=self.key.run_seed,
            batch_size=self.batch_size,
            image_size=self.key.image_size,
            device=self.device,
            augmentation=self.key.augmentation,
        )

    def _run(
        self, classifier: Classifier, pictures: Iterator[Tensor], aux_inputs: bool = False
    ) -> Iterator[Tensor]:
        @torch.no_grad()
        def computed() -> Iterator[Tensor]:
            for images in pictures:
                with autocast(self.device, self.key.precision):
                    features = classifier.features(
                        normalise(images, classifier.mean, classifier.std), aux_inputs=aux_inputs
                    )
                yield flat(features).float()

        return read_back_each(computed())

    def _read(self, name: str, rows: Rows, width: int, compute: Compute) -> Floats:
        """The stored features [len(rows), width] of `rows`, after computing those that are not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.f32"
        with locked(f"{path}.lock"):
            data, mask = _mapped(path, len(self.cache), width)
            missing = np.unique(rows[mask[rows] == 0])
            if len(missing):
                self._fill(data, mask, missing, compute)
            os.utime(path)
            found: Floats = data[rows]
        if len(missing):
            self._evict(path)
        return found

    def _fill(
        self, data: "np.memmap[Any, Any]", mask: "np.memmap[Any, Any]", missing: Rows, compute: Compute
    ) -> None:
        done, finite = 0, np.zeros(len(missing), np.uint8)

        def fill(batch_size: int) -> None:
            nonlocal done
            self.batch_size = batch_size
            for features in compute(missing[done:]):
                part = slice(done, done + len(features))
                data[missing[part]] = features.numpy()
                finite[part] = features.isfinite().all(1).numpy()
                done += len(features)

        in_smaller_batches(fill, self.batch_size)
        # The features reach the disk before the mask vouches for them, which it does not for NaN and infinity: what
        # made them, a damaged file of weights for one, may be mended under its name.
        data.flush()
        mask[missing] = finite
        mask.flush()

    def _evict(self, newest: Path) -> None:
        """Delete the least recently used files beyond the limit; a reader keeps what it has mapped."""
        files = []
        for file in self.home.glob("*/*.f32"):
            with contextlib.suppress(FileNotFoundError):
                status = file.stat()
                files.append((status.st_mtime, _size_on_disk(status), file))
        total = sum(size for _, size, _ in files)
        for _, size, file in sorted(files):
            if total <= self.limit_bytes:
                return
            if file != newest and _remove(file):
                total -= size


def _size_on_disk(status: os.stat_result) -> int:
    """Bytes that a file takes, holes left out where the system counts blocks."""
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else int(blocks) * 512


def _mapped(path: Path, num_images: int, width: int) -> "tuple[np.memmap[Any, Any], np.memmap[Any, Any]]":
    """Features [num_images, width] and mask [num_images] at `path`, sparse files of zeros at first."""
    mask_path = path.with_suffix(".mask")
    for file, size in ((path, num_images * width * 4), (mask_path, num_images)):
        if not file.exists() or file.stat().st_size != size:
            mask_path.unlink(missing_ok=True)
            with file.open("wb") as fresh:
                fresh.truncate(size)
    data = np.memmap(path, np.float32, "r+", shape=(num_images, width))
    return data, np.memmap(mask_path, np.uint8, "r+", shape=(num_images,))


def _remove(path: Path) -> bool:
    """Delete a features file unless somebody holds its lock; whether it is gone."""
    try:
        with locked(f"{path}.lock", timeout_s=0):
            path.with_suffix(".mask").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            return True
    except LockHeld:
        return False


def _content(weights: str) -> str:
    """What tells one weights file from another under the same name."""
    path = Path(weights)
    if weights in ("imagenet", "none") or not path.is_file():
        return weights
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
