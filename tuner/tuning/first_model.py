"""The first model of a run: the backbone that the probe found best, with its solved head, entered as an ended trial.

It stands in the table before Ray starts, can be exported and released at any moment from then on, and is compared as
any other trial is. Its head was solved on the training images alone, so that its validation score is as honest as
theirs.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.config import EpochMetrics, RunContext, TrialConfig
from tuner.console.reporter import Reporter
from tuner.probing.linear import Probed
from tuner.tuning.prior import PROBE

if TYPE_CHECKING:
    import torch

    from tuner.tuning.trial_store import TrialStore

__all__ = ["STRATEGY", "enter_first_model"]

STRATEGY = "linear_probe"


def enter_first_model(store: "TrialStore", best: Probed, context: RunContext, reporter: Reporter) -> None:
    """Enter what `best` solved into the fresh run of `store`, and write the tables and best.yaml."""
    from tuner.runs.best_trial import write_best

    solved = best.solved
    if solved is None:
        raise ValueError(f"the probe of {best.model} has no head")
    config = TrialConfig.resolve(
        {
            "model": best.model,
            "strategy": STRATEGY,
            "probe_l2": best.l2,
            "max_epochs": 1,
            "schedule": "cosine",
            "warmup_epochs": 0,
            "seed": context.seed,
        }
    )

    def write(path: Path) -> None:
        from trainables.checkpoint import save_weights, weights_of
        from trainables.inference import build_classifier

        classifier = build_classifier(config, len(context.classes), context.weights, context.seed)
        _set_head(classifier.head, solved.train_weights, solved.train_biases)
        save_weights(weights_of(classifier), path)

    store.enter(config, PROBE, _epoch(best, store, context), write)
    store.write_table()
    row = store.best()
    if row is not None:
        write_best(store.run, row)
        reporter.line(
            f"a first model is there: {best.model} with a solved head, val_loss {row['val_loss']:.4f}"
            f" (tuner release {store.run.path} writes it)"
        )


def _set_head(head: "torch.nn.Module", weights: "np.ndarray", biases: "np.ndarray") -> None:
    import torch

    linear = head[-1]  # type: ignore[index]
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weights))
        linear.bias.copy_(torch.from_numpy(biases))


def _epoch(best: Probed, store: "TrialStore", context: RunContext) -> EpochMetrics:
    import torch

    from trainables.inference import score_logits

    solved = best.solved
    assert solved is not None
    labels = store.run.images_and_parts().part("val").numbers
    scores = score_logits(torch.from_numpy(solved.validation), torch.from_numpy(labels), context.positive)
    loss, accuracy = solved.train_scores.tolist()
    return EpochMetrics(
        epoch=1,
        full_epochs=1,
        scores=scores,
        train_loss=loss,
        train_accuracy=accuracy,
        learning_rate=0.0,
        trainable_parameters=solved.train_weights.size + solved.train_biases.size,
        epoch_seconds=best.seconds,
        time=time.time(),
    )
