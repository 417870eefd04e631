"""What a trial's model is fed: pictures, or the feature cache's features while the backbone is frozen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.data.batches import (
    Rows,
    epoch_order,
    eval_batches,
    occurrences,
    send,
    spans,
    train_batches,
)
from trainables.frozen_features import FeatureCache
from trainables.models.classifier import Classifier
from trainables.strategies.groups import ParamGroup, is_backbone_frozen
from trainables.trial_data import TrialData

if TYPE_CHECKING:
    from trainables.setting import ComputeConfig

EVAL_BATCH = 128
"""Images a validation batch at most; without gradients there is room for more than in training."""

_FEATURES = 32
"""How many images' features a validation batch has in place of one picture."""


@dataclass(frozen=True)
class BatchLoader:
    """A trial's batches, by epoch: pictures uint8 [b, 3, s, s], or flat features [b, d] that stand for them."""

    config: TrialConfig
    data: TrialData
    compute: "ComputeConfig"
    classifier: Classifier
    groups: Sequence[ParamGroup]
    feature_cache: FeatureCache | None

    @property
    def aux_inputs(self) -> bool:
        """Whether the auxiliary heads run in training, and so need their inputs; of weight 0 they do not."""
        return bool(self.config.auxiliary_weight) and len(self.classifier.auxiliary) > 0

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of `epoch` with their labels int64 [b], in its order."""
        feature_cache = self._feature_cache_for(epoch)
        if feature_cache is not None:
            return self._features(feature_cache, epoch)
        return train_batches(
            self.data.cache,
            self.data.train_rows,
            self.data.train_labels,
            epoch=epoch,
            run_seed=self.compute.run_seed,
            trial_seed=self.config.seed,
            batch_size=self.config.batch_size,
            image_size=self.compute.image_size,
            sampler=self.config.sampler,
            device=self.compute.device,
            augmentation=self.config.augmentation,
        )

    def validation(self, epoch: int, batch_size: int = EVAL_BATCH) -> Iterator[Tensor]:
        """The validation images in their order, as the model is in `epoch`; read it without gradients.

        `batch_size` counts pictures; features, which take less, come more at a time.
        """
        return self._unaugmented(self.data.val_rows, epoch, batch_size)

    def plain(
        self, epoch: int, batch_size: int = EVAL_BATCH, *, mirrored: bool = False
    ) -> tuple[Iterator[Tensor], Tensor]:
        """The training images as `validation` would show them, or mirrored, and their labels int64 [n] on the CPU.

        The sampler says how often each comes; they come in their own order, whatever the trial's seed.
        """
        labels = self.data.train_labels
        order = np.sort(epoch_order(labels, self.config.sampler, self.config.seed, epoch))
        batches = self._unaugmented(self.data.train_rows[order], epoch, batch_size, mirrored=mirrored)
        return batches, torch.from_numpy(labels[order].astype(np.int64))

    def _unaugmented(
        self, rows: Rows, epoch: int, batch_size: int, *, mirrored: bool = False
    ) -> Iterator[Tensor]:
        """The middle of the picture of every row, in order, or its features while they stand in for the backbone."""
        feature_cache = self._feature_cache_for(epoch)
        if feature_cache is not None:
            different, place = np.unique(rows, return_inverse=True)
            features = feature_cache.validation(self.classifier, different, mirrored=mirrored)[place]
            for part in features.split(batch_size * _FEATURES):
                yield send(part, self.compute.device)
            return
        yield from eval_batches(
            self.data.cache,
            rows,
            batch_size=batch_size,
            image_size=self.compute.image_size,
            device=self.compute.device,
            again=True,
            mirrored=mirrored,
        )

    def _feature_cache_for(self, epoch: int) -> FeatureCache | None:
        """The feature cache, if it can stand in for the backbone in `epoch` and is allowed to grow so large."""
        if self.feature_cache is None or not is_backbone_frozen(self.groups, epoch):
            return None
        width = self.classifier.flat_width(self.aux_inputs)
        return self.feature_cache if self.feature_cache.fits(len(self.data.train_rows), width) else None

    def _features(self, feature_cache: FeatureCache, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of `train_batches`, with the backbone's features in place of the pictures."""
        labels = self.data.train_labels
        order = epoch_order(labels, self.config.sampler, self.config.seed, epoch)
        rows = self.data.train_rows[order]
        features = feature_cache.train(
            self.classifier, rows, occurrences(rows), epoch, aux_inputs=self.aux_inputs
        )
        targets = send(torch.from_numpy(labels[order]), self.compute.device)
        for span in spans(len(order), self.config.batch_size):
            # The whole epoch's features stay on the host: a device may have no room for them.
            yield send(features[span], self.compute.device), targets[span]
