"""The loop: one model, one strategy, one epoch at a time. Knows nothing of Ray, Optuna or files."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables import head_features, strategies
from trainables.averaging import WeightAverage
from trainables.batch_loader import EVAL_BATCH, BatchLoader
from trainables.best_epoch import best_epoch
from trainables.config import EpochMetrics, TrialConfig
from trainables.device_errors import in_smaller_batches
from trainables.divergence import require_finite, watch_for
from trainables.errors import Diverged
from trainables.frozen_features import FeatureCache
from trainables.image_losses import Losses, image_losses
from trainables.inference import build_classifier, placed, score_logits
from trainables.linear_probe import solve_head
from trainables.losses import class_weights, describe_loss
from trainables.metrics import METRICS
from trainables.mixing import draw_mixture, mix
from trainables.optim import Schedule, build_optimizer, start_over
from trainables.readback import read_back
from trainables.setting import ComputeConfig
from trainables.strategies.groups import (
    HEAD,
    ParamGroup,
    apply_freeze,
    full_epochs,
    is_backbone_frozen,
    moved_weights,
)
from trainables.training_step import TrainingStep
from trainables.trial_data import TrialData


class TrainingRun:
    """One trial's training, to be stepped an epoch at a time.

    `finished` is None while there is more to do, then "completed" or "patience". Between epochs the
    whole state is in `state_dict`; random numbers need no state, since those of an epoch follow from
    (seed, epoch).
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrialData,
        compute: ComputeConfig,
        feature_cache: FeatureCache | None = None,
    ) -> None:
        self.config, self.data, self.compute = config, data, compute
        self.epoch = 0
        self.finished: str | None = None
        self.history: list[EpochMetrics] = []
        self.losses: dict[int, Losses] = {}
        self.best_epoch = 0
        self.first_rates = ""
        self.eval_batch = EVAL_BATCH
        self.watch = watch_for(compute.device)
        self._waited, self._reference = 0, math.inf
        self._metric = METRICS[compute.metric]
        classifier = build_classifier(config, len(data.classes), compute.weights, compute.run_seed)
        self.classifier = placed(classifier, compute.device)
        self.groups: tuple[ParamGroup, ...] = strategies.plan(config, self.classifier)
        self.loader = BatchLoader(config, data, compute, self.classifier, self.groups, feature_cache)
        self.optimizer = build_optimizer(self.groups, config)
        self.schedule = Schedule(self.optimizer, self.groups, config)
        self._average = WeightAverage(self.classifier, config.ema_decay) if config.ema_decay else None
        weighted = config.class_weight_power > 0
        weights = (
            class_weights(data.train_counts, config.class_weight_power).to(compute.device)
            if weighted
            else None
        )
        self._step = TrainingStep(
            config, compute, self.classifier, self.optimizer, weights, aux_inputs=self.loader.aux_inputs
        )
        self._val_labels = torch.from_numpy(data.val_labels)

    @property
    def accumulation(self) -> int:
        """In how many parts a training batch is computed."""
        return self._step.accumulation

    def epochs(self) -> Iterator[EpochMetrics]:
        """What each remaining epoch measured, until `finished` is set."""
        while self.finished is None:
            yield self.step()

    def step(self) -> EpochMetrics:
        """Train and validate one epoch.

        Raises Diverged at the batch whose loss is not finite (on an accelerator some batches later, before anything is
        validated), or after a validation whose loss is not.
        """
        started = time.perf_counter()
        epoch = self.epoch + 1
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, epoch]).generate_state(1)[0]))
        self.classifier.train()
        trainable = apply_freeze(self.groups, epoch)
        start_over(self.optimizer, self.groups, epoch)
        self._step.begin([group.trains_in(epoch) for group in self.groups], self._steps_from(epoch))
        if self._average is not None:
            self._average.begin()
        train_loss, train_accuracy = self._train(epoch)
        if self._average is not None:
            self._average.end()
        scores = self.validate(epoch)
        if len(self.data.val_rows) > 0 and not math.isfinite(scores["val_loss"]):
            raise Diverged(f"epoch {epoch}: val_loss {scores['val_loss']} (train_loss {train_loss:.4g})")
        metrics = EpochMetrics(
            epoch=epoch,
            full_epochs=full_epochs(self.groups, epoch),
            scores=scores,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            learning_rate=self.schedule.rates()[HEAD],
            trainable_parameters=trainable,
            epoch_seconds=time.perf_counter() - started,
            time=time.time(),
        )
        self.first_rates = self.first_rates or self._rates()
        self.schedule.observe(epoch, metrics.val_loss)
        self.epoch = epoch
        self.history.append(metrics)
        self._judge(metrics)
        return metrics

    def validate(self, epoch: int) -> dict[str, float]:
        """Every metric of the validation images with the weights as they are; NaN if there are none.

        Where memory runs out it starts over with half the batch; the scores do not depend on it.
        """
        self.classifier.eval()
        if len(self.data.val_rows) == 0:
            return dict.fromkeys(METRICS, math.nan)
        logits = in_smaller_batches(lambda size: self._validation_logits(epoch, size), self.eval_batch)
        found = image_losses(self.data.val_labels, logits.double().numpy(), self.data.groups)
        if found is not None:
            self.losses[epoch] = found
        return score_logits(logits, self._val_labels, self.compute.positive)

    def applied(self) -> dict[str, str]:
        """What is in force, read off the live optimizer, loss and batches."""
        micro = math.ceil(self.config.batch_size / self.accumulation)
        return {
            "learning_rates_first": self.first_rates,
            "learning_rates_last": self._rates(),
            "loss": describe_loss(
                weight=self._step.class_weights,
                label_smoothing=self.config.label_smoothing,
                auxiliary_weight=self.config.auxiliary_weight,
            ),
            "sampler": self.config.sampler,
            "batch": f"{self.config.batch_size} as {self.accumulation} x {micro}",
            "step": self._step.chosen.said,
        }

    def halve_batch(self) -> bool:
        """Split every batch into twice as many parts; False when there is nothing left to split."""
        if self.accumulation * 2 > self.config.batch_size:
            return False
        self.split_batches(self.accumulation * 2)
        return True

    def split_batches(self, parts: int) -> None:
        """Compute every training batch in at least `parts` parts, and as many times fewer images at once elsewhere."""
        self._step.accumulation = max(self.accumulation, min(parts, self.config.batch_size))
        self.eval_batch = max(1, min(self.eval_batch, EVAL_BATCH // parts))
        if self.loader.feature_cache is not None:
            self.loader.feature_cache.compute_in_parts(parts)

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
            "history": [metrics.row() for metrics in self.history],
            "calibrated_losses": {epoch: torch.from_numpy(found) for epoch, found in self.losses.items()},
            "weights": moved_weights(self.classifier, self.groups, self.epoch),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self._step.scaler.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; the epochs that follow equal those of an uninterrupted run."""
        self.epoch, self.finished = state["epoch"], state["finished"]
        self.best_epoch, self.first_rates = state["best_epoch"], state["first_rates"]
        self._waited, self._reference = state["waited"], state["reference"]
        self.split_batches(state["accumulation"])
        self.history = [EpochMetrics.of_row(row) for row in state["history"]]
        # A state of an earlier version knows no losses, or plain ones.
        kept = state.get("calibrated_losses", {})
        self.losses = {epoch: found.numpy() for epoch, found in kept.items()}
        self.classifier.load_state_dict(state["weights"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        # A trial that went on in another precision scaled no gradients, or scales none.
        if state["scaler"]:
            self._step.scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def _train(self, epoch: int) -> tuple[float, float]:
        """Mean criterion and accuracy over the images of one epoch."""
        if epoch == 1 and strategies.solves_head(self.config.strategy):
            return self._solve_head(epoch)
        # A Mac's GPU has no float64.
        exact = torch.float32 if self.compute.device.type == "mps" else torch.float64
        loss_sum = torch.zeros((), dtype=exact, device=self.compute.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.compute.device)
        seen = 0
        total = math.ceil(len(self.data.train_rows) / self.config.batch_size)
        for number, (inputs, labels) in enumerate(self.loader.train(epoch)):
            self.schedule.set_rates(epoch, min(number / total, 1.0))
            loss, logits = self._update(*self._mixed(inputs, labels, epoch, number))
            loss_sum += loss.to(exact) * len(labels)
            correct += (logits.argmax(1) == labels).sum()
            seen += len(labels)
            self.watch.look(loss_sum, epoch, number + 1, total)
        loss, hits = read_back(torch.stack([loss_sum, correct.to(exact)])).tolist()
        require_finite(loss / seen, epoch, f"batch {total} of {total}")
        return loss / seen, int(hits) / seen

    def _steps_from(self, epoch: int) -> int:
        """Steps of all epochs from `epoch` on, if nobody stops the trial."""
        batches = math.ceil(len(self.data.train_rows) / self.config.batch_size)
        return batches * (strategies.max_epochs(self.config) - epoch + 1)

    @torch.no_grad()
    def _solve_head(self, epoch: int) -> tuple[float, float]:
        """Set the head to the linear probe of the epoch's pictures; its criterion and accuracy on them."""
        self.schedule.set_rates(epoch)
        if strategies.is_linear_probe(self.config.strategy):
            mirrored = self.config.probe_views == 2
            pooled, labels = in_smaller_batches(
                lambda size: head_features.of_plain(
                    self.loader, self._step, epoch, size, mirrored_too=mirrored
                ),
                self.eval_batch,
            )
        else:
            size = math.ceil(self.config.batch_size / self.accumulation)
            pooled, labels = head_features.of_augmented(self.loader, self._step, epoch, size)
        require_finite(float(pooled.sum()), epoch, "features of the frozen backbone")
        found = solve_head(
            self.classifier.head,
            pooled,
            labels,
            l2=self.config.probe_l2 or 0.0,
            weight=self._step.class_weights,
            label_smoothing=self.config.label_smoothing,
        )
        if self._average is not None:
            self._average.restart()
        return found

    def _mixed(self, inputs: Tensor, labels: Tensor, epoch: int, number: int) -> tuple[Tensor, Tensor, float]:
        """The batch, mixed where it is to be and the backbone trains, its labels, and the share that is theirs.

        While that is frozen nothing is: its features are shared with trials that mix otherwise.
        """
        config = self.config
        mixture = draw_mixture(
            config.mixup or 0.0, config.cutmix or 0.0, self.compute.run_seed, epoch, number
        )
        if mixture is None or is_backbone_frozen(self.groups, epoch):
            return inputs, labels, 1.0
        mixed, lam = mix(inputs, mixture)
        return mixed, labels, lam

    def _update(self, inputs: Tensor, labels: Tensor, lam: float = 1.0) -> tuple[Tensor, Tensor]:
        """One optimizer step on a batch; its detached loss and logits."""
        found = self._step.update(inputs, labels, lam)
        if self._average is not None:
            self._average.update()
        return found

    def _outputs(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Logits, then auxiliary logits, of uint8 images [b, 3, s, s] or of flat features [b, d]."""
        return self._step.outputs(inputs)

    @torch.inference_mode()
    def _validation_logits(self, epoch: int, batch_size: int) -> Tensor:
        """Logits fp32 [n, classes] of the validation images, on the CPU, computed `batch_size` at a time."""
        self.eval_batch = batch_size
        batches = self.loader.validation(epoch, batch_size)
        return read_back(torch.cat([self._outputs(inputs)[0].float() for inputs in batches]))

    def _judge(self, metrics: EpochMetrics) -> None:
        """Note a new best epoch; set `finished` at the end of epochs or of patience."""
        values = [self._metric.cost(m.scores[self._metric.name]) for m in self.history]
        self.best_epoch = self._best(values)
        if metrics.epoch == strategies.first_result(self.config.strategy):
            self._reference = math.inf
        improved = values[-1] < self._reference - self.config.min_delta
        self._reference = values[-1] if improved else self._reference
        # While something is still frozen the clock of patience stands still: late bloomers must be able to win.
        self._waited = 0 if improved or metrics.full_epochs < 1 else self._waited + 1
        if self.config.patience and self._waited >= self.config.patience:
            self.finished = "patience"
        if metrics.epoch >= strategies.max_epochs(self.config):
            self.finished = "completed"

    def _best(self, values: list[float]) -> int:
        """The best epoch so far: by the losses of the images where val_loss is searched by, else by `values`."""
        first = min(strategies.first_result(self.config.strategy), len(values)) - 1
        known = [self.losses[m.epoch] for m in self.history if m.epoch in self.losses]
        if self._metric.name != "val_loss" or len(known) < len(values):
            return self.history[min(range(first, len(values)), key=values.__getitem__)].epoch
        return self.history[best_epoch(known, self.data.groups, first=first)].epoch

    def _rates(self) -> str:
        return ", ".join(f"{name}={rate:.6g}" for name, rate in self.schedule.rates().items())
