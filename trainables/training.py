"""The loop: one model, one strategy, one epoch at a time. Knows nothing of Ray, Optuna or files."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables import strategies
from trainables.batch_loader import BatchLoader
from trainables.config import METRICS, EpochMetrics, TrialConfig
from trainables.data.batches import normalise
from trainables.errors import Diverged
from trainables.frozen_features import FeatureCache
from trainables.inference import Scores, autocast, placed, score_logits
from trainables.losses import class_weights, describe_loss, training_loss
from trainables.models import create
from trainables.models.classifier import Classifier
from trainables.optim import Schedule, build_optimizer
from trainables.setting import ComputeConfig
from trainables.strategies.groups import HEAD, ParamGroup, apply_freeze, full_epochs
from trainables.trial_data import TrialData


def build_classifier(config: TrialConfig, num_classes: int, weights: str, run_seed: int) -> Classifier:
    """The trial's model before its first step.

    The backbone is a function of (`weights`, `run_seed`) alone, so that trials share it; the heads
    are drawn from the trial's own seed.
    """
    torch.manual_seed(config.seed)
    return create(
        config.model,
        num_classes,
        weights=weights,
        dropout=config.dropout,
        auxiliary=strategies.wants_auxiliary(config.strategy),
        seed=run_seed,
    )


class TrainingRun:
    """One trial's training, to be stepped an epoch at a time.

    `finished` is None while there is more to do, then "completed" or "patience". Between epochs the
    whole state is in `state_dict`; random numbers need no state, since those of an epoch follow from
    (seed, epoch).
    """

    def __init__(
        self, config: TrialConfig, data: TrialData, setting: ComputeConfig, bank: FeatureCache | None = None
    ) -> None:
        self.config, self.data, self.setting = config, data, setting
        self.epoch = 0
        self.finished: str | None = None
        self.history: list[EpochMetrics] = []
        self.best_epoch = 0
        self.first_rates = ""
        self.accumulation = 1
        self._waited, self._reference = 0, math.inf
        self._metric = METRICS[setting.metric]
        classifier = build_classifier(config, len(data.classes), setting.weights, setting.run_seed)
        self.classifier = placed(classifier, setting.device)
        self.groups: tuple[ParamGroup, ...] = strategies.plan(config, self.classifier)
        self.feed = BatchLoader(config, data, setting, self.classifier, self.groups, bank)
        self.optimizer = build_optimizer(self.groups, config)
        self.schedule = Schedule(self.optimizer, self.groups, config)
        self._scaler = torch.amp.GradScaler(setting.device.type, enabled=setting.precision == "fp16")
        weighted = config.class_weight_power > 0
        self._class_weights = (
            class_weights(data.train_counts, config.class_weight_power).to(setting.device)
            if weighted
            else None
        )
        self._val_labels = torch.from_numpy(data.val_labels)

    def epochs(self) -> Iterator[EpochMetrics]:
        """What each remaining epoch measured, until `finished` is set."""
        while self.finished is None:
            yield self.step()

    def step(self) -> EpochMetrics:
        """Train and validate one epoch; raises Diverged as soon as a loss is not finite."""
        started = time.perf_counter()
        epoch = self.epoch + 1
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, epoch]).generate_state(1)[0]))
        self.classifier.train()
        trainable = apply_freeze(self.groups, epoch)
        train_loss, train_accuracy = self._train(epoch)
        scores = self.validate(epoch)
        validated = len(self.data.val_rows) > 0
        if not (math.isfinite(train_loss) and (math.isfinite(scores.loss) or not validated)):
            raise Diverged(f"epoch {epoch}: train_loss {train_loss}, val_loss {scores.loss}")
        metrics = EpochMetrics(
            epoch=epoch,
            full_epochs=full_epochs(self.groups, epoch),
            val_loss=scores.loss,
            val_accuracy=scores.accuracy,
            val_balanced_accuracy=scores.balanced_accuracy,
            val_macro_f1=scores.macro_f1,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            learning_rate=self.schedule.rates()[HEAD],
            trainable_parameters=trainable,
            epoch_seconds=time.perf_counter() - started,
            time=time.time(),
        )
        self.first_rates = self.first_rates or self._rates()
        self.schedule.observe(epoch, scores.loss)
        self.epoch = epoch
        self.history.append(metrics)
        self._judge(metrics)
        return metrics

    def validate(self, epoch: int) -> Scores:
        """Plain scores of the validation images with the weights as they are; NaN if there are none."""
        self.classifier.eval()
        if len(self.data.val_rows) == 0:
            return Scores(math.nan, math.nan, math.nan, math.nan)
        parts = list(self._logits(self.feed.validation(epoch)))
        return score_logits(torch.cat(parts).float().cpu(), self._val_labels, len(self.data.classes))

    def applied(self) -> dict[str, str]:
        """What is in force, read off the live optimizer, loss and batches."""
        micro = math.ceil(self.config.batch_size / self.accumulation)
        return {
            "learning_rates_first": self.first_rates,
            "learning_rates_last": self._rates(),
            "loss": describe_loss(
                weight=self._class_weights,
                label_smoothing=self.config.label_smoothing,
                auxiliary_weight=self.config.auxiliary_weight,
            ),
            "sampler": self.config.sampler,
            "batch": f"{self.config.batch_size} as {self.accumulation} x {micro}",
        }

    def halve_batch(self) -> bool:
        """Split every batch into twice as many parts; False when there is nothing left to split."""
        if self.accumulation * 2 > self.config.batch_size:
            return False
        self.accumulation *= 2
        return True

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs on a fresh TrainingRun of the same config; tensors and plain values.

        Weights that have not moved from their start are left out: a frozen backbone costs nothing.
        """
        return {
            "epoch": self.epoch,
            "finished": self.finished,
            "best_epoch": self.best_epoch,
            "first_rates": self.first_rates,
            "waited": self._waited,
            "reference": self._reference,
            "accumulation": self.accumulation,
            "history": [asdict(metrics) for metrics in self.history],
            "weights": self._moved_weights(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; the epochs that follow equal those of an uninterrupted run."""
        self.epoch, self.finished = state["epoch"], state["finished"]
        self.best_epoch, self.first_rates = state["best_epoch"], state["first_rates"]
        self._waited, self._reference = state["waited"], state["reference"]
        self.accumulation = state["accumulation"]
        self.history = [EpochMetrics(**metrics) for metrics in state["history"]]
        self.classifier.load_state_dict(state["weights"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])

    def _train(self, epoch: int) -> tuple[float, float]:
        """Mean criterion and accuracy over the images of one epoch."""
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.setting.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.setting.device)
        seen = 0
        total = math.ceil(len(self.data.train_rows) / self.config.batch_size)
        for number, (inputs, labels) in enumerate(self.feed.train(epoch)):
            self.schedule.set_rates(epoch, min(number / total, 1.0))
            loss, logits = self._update(inputs, labels)
            loss_sum += loss.double() * len(labels)
            correct += (logits.argmax(1) == labels).sum()
            seen += len(labels)
        return float(loss_sum) / seen, int(correct) / seen

    def _update(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One optimizer step on a batch, in `accumulation` parts; its detached loss and logits."""
        self.optimizer.zero_grad(set_to_none=True)
        whole = self._weight_of(labels)
        losses, outputs = [], []
        size = math.ceil(len(labels) / self.accumulation)
        for part, part_labels in zip(inputs.split(size), labels.split(size), strict=True):
            share = self._weight_of(part_labels) / whole
            logits = self._outputs(part)
            loss = share * training_loss(
                logits,
                part_labels,
                weight=self._class_weights,
                label_smoothing=self.config.label_smoothing,
                auxiliary_weight=self.config.auxiliary_weight,
            )
            self._scaler.scale(loss).backward()
            losses.append(loss.detach())
            outputs.append(logits[0].detach())
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return torch.stack(losses).sum(), torch.cat(outputs)

    def _weight_of(self, labels: Tensor) -> Tensor:
        """What a mean over `labels` divides by: their class weights, or their number."""
        if self._class_weights is None:
            return torch.tensor(float(len(labels)), device=labels.device)
        return self._class_weights[labels].sum()

    def _outputs(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Logits, then auxiliary logits, of uint8 images [b, 3, s, s] or of flat features [b, d]."""
        with autocast(self.setting.device, self.setting.precision):
            classify: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]] = self.classifier.classify
            if inputs.dtype != torch.uint8:
                return classify(self.classifier.unflat(inputs))
            images = normalise(inputs, self.classifier.mean, self.classifier.std)
            aux_inputs = self.feed.aux_inputs and self.classifier.training
            return classify(self.classifier.features(images, aux_inputs=aux_inputs))

    @torch.inference_mode()
    def _logits(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        for inputs in batches:
            yield self._outputs(inputs)[0]

    def _judge(self, metrics: EpochMetrics) -> None:
        """Note a new best epoch; set `finished` at the end of epochs or of patience."""
        values = [self._metric.cost(getattr(m, self._metric.name)) for m in self.history]
        best = min(range(len(values)), key=values.__getitem__)
        self.best_epoch = self.history[best].epoch
        improved = values[-1] < self._reference - self.config.min_delta
        self._reference = values[-1] if improved else self._reference
        # While something is still frozen the clock of patience stands still: late bloomers must be able to win.
        self._waited = 0 if improved or metrics.full_epochs < 1 else self._waited + 1
        if self.config.patience and self._waited >= self.config.patience:
            self.finished = "patience"
        if metrics.epoch >= self.config.max_epochs:
            self.finished = "completed"

    def _rates(self) -> str:
        return ", ".join(f"{name}={rate:.6g}" for name, rate in self.schedule.rates().items())

    def _moved_weights(self) -> dict[str, Tensor]:
        """Tensors of the model that training may have changed so far."""
        moved: set[int] = set()
        for group in self.groups:
            if group.from_epoch is None or group.from_epoch > self.epoch:
                continue
            moved.update(id(parameter) for parameter in group.parameters)
            moved.update(id(buffer) for module in group.modules for buffer in module.buffers())
        names = dict(self.classifier.named_parameters()) | dict(self.classifier.named_buffers())
        return {name: tensor.detach() for name, tensor in names.items() if id(tensor) in moved}


def with_seed(config: TrialConfig, seed: int) -> TrialConfig:
    """The same configuration under another trial seed."""
    return replace(config, seed=seed)
