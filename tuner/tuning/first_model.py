"""The first models of a run: backbones that the probe found best, with their solved heads, entered as ended trials.

They stand in the table before Ray starts, can be exported and released at any moment from then on, and are compared as
any other trial is. Their heads were solved on the training images alone, so that their validation scores are as honest
as those of others.
"""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.config import EpochMetrics, RunContext, TrialConfig
from trainables.image_losses import Losses, image_losses
from trainables.metrics import Answers, measure
from tuner.console.reporter import Reporter
from tuner.probing.probed import Floats, Probed, Solved
from tuner.tuning.prior import PROBE

if TYPE_CHECKING:
    import torch

    from tuner.tuning.trial_store import TrialStore

__all__ = ["STRATEGY", "enter_first_models"]

STRATEGY = "linear_probe"


def enter_first_models(
    store: "TrialStore", best: Sequence[Probed], context: RunContext, reporter: Reporter
) -> None:
    """Enter what the `best`, the lowest log loss first, solved into the fresh run of `store`.

    Its best.yaml names the first.
    """
    from tuner.runs.best_trial import write_best

    for one in best:
        if one.solved is None:
            raise ValueError(f"the probe of {one.model} has no head")
        config = _config(one, context)
        epoch, losses = _epoch(one, one.solved, store, context)
        store.enter(config, PROBE, epoch, losses, partial(_write, one.solved, config, context))
    store.write_table()
    first = next(row for row in store.standings.rows.values() if row["model"] == best[0].model)
    write_best(store.run, first)
    reporter.line(
        f"the run has a first model: {best[0].model} with a solved head, log loss {best[0].log_loss:.4f} by"
        f" the probe (to write a model folder at any moment: tuner release {store.run.path})"
    )


def _config(probed: Probed, context: RunContext) -> TrialConfig:
    return TrialConfig.resolve(
        {
            "model": probed.model,
            "strategy": STRATEGY,
            "probe_l2": probed.l2,
            "probe_views": probed.views,
            "max_epochs": 1,
            "schedule": "cosine",
            "warmup_epochs": 0,
            "seed": context.seed,
        }
    )


def _write(solved: Solved, config: TrialConfig, context: RunContext, path: Path) -> None:
    """The weights of the whole network, as a trial leaves them."""
    from trainables.checkpoint import save_weights, weights_of
    from trainables.inference import build_classifier

    classifier = build_classifier(config, len(context.classes), context.weights, context.seed)
    _set_head(classifier.head, solved.train_weights, solved.train_biases)
    save_weights(weights_of(classifier), path)


def _set_head(head: "torch.nn.Module", weights: Floats, biases: Floats) -> None:
    import torch

    linear = head[-1]  # type: ignore[index]
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weights))
        linear.bias.copy_(torch.from_numpy(biases))


def _epoch(
    probed: Probed, solved: Solved, store: "TrialStore", context: RunContext
) -> tuple[EpochMetrics, Losses | None]:
    """What the one epoch of the trial measured, and the loss of each validation image."""
    own = store.run.images_and_parts().part("val")
    labels = own.numbers
    logits = solved.validation.astype(np.float64)
    loss, accuracy = solved.train_scores.tolist()
    epoch = EpochMetrics(
        epoch=1,
        full_epochs=1,
        scores=measure(Answers(labels, logits, context.positive)),
        train_loss=loss,
        train_accuracy=accuracy,
        learning_rate=0.0,
        trainable_parameters=solved.train_weights.size + solved.train_biases.size,
        epoch_seconds=probed.seconds,
        time=time.time(),
    )
    return epoch, image_losses(labels, logits, own.groups)
