"""One optimizer step on one batch: outputs, the trial's own loss, gradients. Knows nothing of epochs.

The scaling of fp16 gradients was not run on a GPU.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.data.batches import normalise
from trainables.depthwise import quick_gradients
from trainables.graphs import ChosenGradients, recorder_for
from trainables.inference import autocast
from trainables.losses import training_loss
from trainables.models.classifier import Classifier
from trainables.setting import ComputeConfig

__all__ = ["TrainingStep"]


class TrainingStep:
    """How a trial's `classifier` learns from a batch, computed in `accumulation` parts.

    `aux_inputs` says whether auxiliary heads run in training. The gradients of a whole batch may come from a recorded
    graph on a GPU; see `trainables.graphs`.
    """

    def __init__(
        self,
        config: TrialConfig,
        compute: ComputeConfig,
        classifier: Classifier,
        optimizer: torch.optim.Optimizer,
        class_weights: Tensor | None,
        *,
        aux_inputs: bool,
    ) -> None:
        self.config, self.compute, self.classifier = config, compute, classifier
        self.optimizer, self.class_weights, self.aux_inputs = optimizer, class_weights, aux_inputs
        self.accumulation = 1
        self.scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "fp16")
        recorder = recorder_for(compute.device)
        self.chosen = ChosenGradients(recorder, self.gradients, classifier, config.batch_size)

    def begin(self, trains: Sequence[bool], steps: int) -> None:
        """Before an epoch: which groups train in it, and how many steps the trial may still make."""
        self.chosen.begin(trains, steps)

    def update(self, inputs: Tensor, labels: Tensor, lam: float = 1.0) -> tuple[Tensor, Tensor]:
        """One optimizer step on uint8 images [b, 3, s, s] or flat features [b, d]; its detached loss and logits.

        Of every picture the share `lam` is its own, the rest that of the one at its mirrored place.
        """
        if self.accumulation == 1:
            found = self.chosen(inputs, labels, lam)
        else:
            found = self.gradients(inputs, labels, () if lam == 1.0 else (lam, 1 - lam))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return found

    def gradients(
        self, inputs: Tensor, labels: Tensor, shares: Sequence[float] | Tensor = ()
    ) -> tuple[Tensor, Tensor]:
        """The gradients of a batch into the parameters; its detached loss and logits.

        `shares` are those of every picture's own label and of the one at its mirrored place; none where nothing is
        mixed.
        """
        targets: list[tuple[Tensor, Any]] = [(labels, 1.0)]
        if len(shares):
            targets = [(labels, shares[0]), (labels.flip(0), shares[1])]
        self.optimizer.zero_grad(set_to_none=True)
        losses, outputs = [], []
        parts = self._parts(len(inputs))
        wholes = [self._weight_of(target) for target, _ in targets]
        owns = [target.tensor_split(parts) for target, _ in targets]
        for number, part in enumerate(inputs.tensor_split(parts)):
            logits = self.outputs(part)
            loss = torch.zeros((), device=part.device)
            for (_, share), whole, split in zip(targets, wholes, owns, strict=True):
                own = split[number]
                loss = loss + share * self._weight_of(own) / whole * self._criterion(logits, own)
            self.scaler.scale(loss).backward()
            losses.append(loss.detach())
            outputs.append(logits[0].detach())
        return torch.stack(losses).sum(), torch.cat(outputs)

    def _parts(self, count: int) -> int:
        """In how many parts, alike but for one image, a batch of `count` images is computed.

        None is larger than a part of a whole batch. None has one image alone, which BatchNorm behind a pooling can't
        train on, unless whole batches are computed image by image; where parts are of two, one of three stands for it.
        """
        if self.accumulation == 1:
            return 1
        size = math.ceil(self.config.batch_size / self.accumulation)
        parts = math.ceil(count / size)
        return parts if size == 1 else max(1, min(parts, count // 2))

    def outputs(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Logits, then auxiliary logits, of uint8 images [b, 3, s, s] or of flat features [b, d]."""
        device, precision = self.compute.device, self.compute.precision
        with autocast(device, precision), quick_gradients(device, precision):
            classify: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]] = self.classifier.classify
            return classify(self._features(inputs))

    def pooled(self, inputs: Tensor) -> Tensor:
        """Pooled features [b, d] of uint8 images [b, 3, s, s] or of flat features."""
        with autocast(self.compute.device, self.compute.precision):
            return self._features(inputs)[0]

    def _features(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """What the heads read: pooled features [b, d], then the auxiliary heads' inputs where they run."""
        if inputs.dtype != torch.uint8:
            return self.classifier.unflat(inputs)
        images = normalise(inputs, self.classifier.mean, self.classifier.std)
        return self.classifier.features(images, aux_inputs=self.aux_inputs and self.classifier.training)

    def _criterion(self, logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """The trial's own loss of a batch."""
        return training_loss(
            logits,
            labels,
            weight=self.class_weights,
            label_smoothing=self.config.label_smoothing,
            auxiliary_weight=self.config.auxiliary_weight,
        )

    def _weight_of(self, labels: Tensor) -> Tensor:
        """What a mean over `labels` divides by: their class weights, or their number."""
        if self.class_weights is None:
            # A number on the processor goes to a device with the operation; made on the device it would be waited for.
            return torch.tensor(float(len(labels)))
        return self.class_weights[labels].sum()
