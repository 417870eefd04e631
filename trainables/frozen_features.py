"""Outputs of a frozen backbone, computed once a machine and shared by trials through files.

While the backbone is frozen, image i in epoch e under its t-th drawing gives the same features in every trial
with the same weights, image size, images, augmentation, seed and precision. One file holds the features of one
(augmentation, epoch, drawing) [n, d] in float32, with a mask of what is filled in; validation has one for all. What
trials with auxiliary heads train on, the features and the pooled aux_inputs beside them, has files of its own. Whoever
misses rows fills them in under the file's lock, which a process that dies does not keep. Where the disk has no room,
features are computed and not kept.
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainables import augmentations
from trainables.data import cache_home
from trainables.data.augment import MAX_OCCURRENCES
from trainables.data.batches import Rows, eval_batches, normalise, picture_batches
from trainables.data.cache import ImageCache
from trainables.device_errors import in_smaller_batches
from trainables.feature_file import FeatureFile, Gaps
from trainables.feature_room import evict, make_room, require_no_room
from trainables.folding import folded
from trainables.inference import autocast
from trainables.models.classifier import Classifier, flat
from trainables.readback import read_back_each
from trainables.setting import ComputeConfig
from trainables.weights_content import library_versions, weights_content

VERSION = 2
"""Of the file format and of how policies are applied; raise it when either changes what is stored."""

BATCH = 128

Floats = npt.NDArray[np.float32]
Compute = Callable[[Rows], Iterator[Tensor]]
Run = Callable[[Classifier, Tensor], tuple[Tensor, ...]]


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
        """A folder name, which follows from the content of the weights as they are on this machine now.

        Pretrained weights that are not here yet are fetched; raises WeightsUnavailable if they can't be.
        """
        content = weights_content(self.model, self.weights)
        weights = self.weights if content is None else content.sha256
        text = repr((VERSION, library_versions(), replace(self, augmentation="", weights=weights)))
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def policy(self) -> str:
        """The augmentation's name and numbers, for a file name: a policy that changes leaves its old files alone."""
        return f"{self.augmentation}-{augmentations.get(self.augmentation).digest}"


class FeatureCache:
    """The features of one trial's frozen backbone, read from `folder` or computed into it.

    `limit_bytes` bounds all feature caches in `folder` together; the least recently used files go first. A classifier
    that it is given has the weights that `key` names, and was built before the first features are asked for.
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
        self.batch_size = BATCH

    @functools.cached_property
    def folder(self) -> Path:
        """Where the files of `key` are, settled when the first features are asked for.

        Until the classifier is built its weights need not be on this machine.
        """
        return self.home / self.key.digest

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

    def validation(
        self, classifier: Classifier, rows: Rows, run: Run | None = None, *, mirrored: bool = False
    ) -> Tensor:
        """Features [len(rows), d] of the cached images `rows` as validation sees them, or mirrored, on the host.

        `run` is given a network with the answers of `classifier`, and images that are not in the cache yet, in their
        order; it returns what the network's `features` does.
        """

        def compute(missing: Rows) -> Iterator[Tensor]:
            batches = eval_batches(
                self.cache,
                missing,
                batch_size=self.batch_size,
                image_size=self.key.image_size,
                device=self.device,
                again=True,
                mirrored=mirrored,
            )
            return self._run(classifier, batches, run=run)

        name = "mirrored" if mirrored else "validation"
        return torch.from_numpy(self._read(name, rows, classifier.width, compute))

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
        self,
        classifier: Classifier,
        pictures: Iterator[Tensor],
        aux_inputs: bool = False,
        run: Run | None = None,
    ) -> Iterator[Tensor]:
        @torch.no_grad()
        def computed() -> Iterator[Tensor]:
            network = None
            for pixels in pictures:
                images = normalise(pixels, classifier.mean, classifier.std)
                network = network or folded(classifier, images[:1], self.key.precision)
                with autocast(self.device, self.key.precision):
                    features = run(network, images) if run else network.features(images, aux_inputs)
                yield flat(features).float()

        return read_back_each(computed())

    def _read(self, name: str, rows: Rows, width: int, compute: Compute) -> Floats:
        """The features [len(rows), width] of `rows`: those that are stored, and the others computed and stored.

        Where the disk has no room for these they are computed all the same.
        """
        found, known = np.empty((len(rows), width), np.float32), np.zeros(len(rows), np.bool_)
        stored = None
        with contextlib.ExitStack() as stack:
            file = self._opened(stack, self.folder / f"{name}.f32", width)
            if file is not None:
                known = file.holds(rows)
                found[known] = file.read(rows[known])
            if not known.all():
                stored = self._fill(found, Gaps(rows, known), compute, file)
        if stored is not None:
            evict(self.home, self.limit_bytes, stored.path)
        return found

    def _opened(self, stack: contextlib.ExitStack, path: Path, width: int) -> FeatureFile | None:
        """The file at `path`, its lock held until `stack` ends; None where the disk has no room for an empty one."""
        try:
            return stack.enter_context(FeatureFile.locked(path, len(self.cache), width))
        except OSError as error:
            require_no_room(error, self.home)
            return None

    def _fill(
        self, found: Floats, gaps: Gaps, compute: Compute, file: FeatureFile | None
    ) -> FeatureFile | None:
        """Compute what is missing in `found` and store it in `file`; None if it could not be stored."""
        done, finite = 0, np.zeros(len(gaps.rows), np.bool_)
        if file is not None and not make_room(self.home, file.path, len(gaps.rows) * found.shape[1] * 4):
            file = None

        def fill(batch_size: int) -> None:
            nonlocal done, file
            self.batch_size = batch_size
            for features in compute(gaps.rows[done:]):
                values, part = features.numpy(), slice(done, done + len(features))
                gaps.put(found, done, values)
                finite[part] = np.isfinite(values).all(1)
                file = self._stored(file, FeatureFile.write, gaps.rows[part], values)
                done = part.stop

        in_smaller_batches(fill, self.batch_size)
        # The mask does not vouch for NaN and infinity: what made them, a damaged file of weights for one, may be mended
        # under its name.
        return self._stored(file, FeatureFile.vouch, gaps.rows[finite])

    def _stored(
        self, file: FeatureFile | None, write: Callable[..., None], *given: Rows | Floats
    ) -> FeatureFile | None:
        """`file` after it did `write`; where the disk has no room None, and what the file had taken is given back."""
        if file is None:
            return None
        try:
            write(file, *given)
        except OSError as error:
            require_no_room(error, self.home)
            file.discard()
            return None
        return file
