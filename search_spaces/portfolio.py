"""Configurations to begin with, whatever the images: the best of few is near the best of all on recorded curves.

Chosen by `benchmarks/search/portfolio.py`, one after the other, each lowering the mean regret over the sets of curves
most; the set that judges the searches had no part in it. They hold no model and no augmentation. Numbers of
epochs are those of ten-epoch trials and follow the length of others. No optuna at import.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces import common

__all__ = ["CHOSEN", "EPOCHS", "first_trials"]

EPOCHS = 10
"""Of the trials on whose curves they were chosen."""

CHOSEN: Sequence[Mapping[str, Any]] = (
    {
        "strategy": "full",
        "learning_rate": 1e-3,
        "backbone_learning_rate": 1.7e-4,
        "weight_decay": 2.7e-6,
        "label_smoothing": 0.0039,
        "dropout": 0.2,
        "class_weight_power": 0.31,
        "sampler": "shuffle",
        "schedule": "step",
        "step_size": 6,
        "gamma": 0.43,
    },
    {
        "strategy": "feature_extractor",
        "learning_rate": 1e-3,
        "weight_decay": common.NO_DECAY,
        "label_smoothing": 0.1,
        "dropout": 0.2,
        "class_weight_power": 0.0,
        "sampler": "shuffle",
        "schedule": "plateau",
        "plateau_factor": 0.1,
        "plateau_patience": 2,
    },
    {
        "strategy": "staged_unfreeze",
        "learning_rate": 3.2e-3,
        "backbone_learning_rate": 1.1e-3,
        "unfreeze_at": 1,
        "stage_decay": 0.29,
        "weight_decay": 4e-7,
        "label_smoothing": 0.14,
        "dropout": 0.26,
        "class_weight_power": 0.18,
        "sampler": "shuffle",
        "schedule": "plateau",
        "plateau_factor": 0.068,
        "plateau_patience": 4,
    },
    {
        "strategy": "feature_extractor",
        "learning_rate": 4.9e-3,
        "weight_decay": 9.4e-5,
        "label_smoothing": 0.062,
        "dropout": 0.4,
        "class_weight_power": 0.073,
        "sampler": "shuffle",
        "schedule": "cosine",
    },
)


def first_trials(
    model: str,
    max_epochs: int,
    *,
    strategy: str = "strategy",
    count: int | None = None,
    longest_step: int = common.LONGEST_STEP,
) -> list[dict[str, Any]]:
    """The first `count` of them, by default all, as parameters of `model`, which asks for its strategy as `strategy`.

    Those whose strategy `model` can't follow in `max_epochs` are left out. No step lasts longer than `longest_step`.
    """
    fitting = common.fitting_strategies(model, max_epochs)
    return [
        {"model": model, strategy: one["strategy"], **_fitted(one, model, max_epochs, longest_step)}
        for one in CHOSEN[:count]
        if one["strategy"] in fitting
    ]


def _fitted(one: Mapping[str, Any], model: str, max_epochs: int, longest_step: int) -> dict[str, Any]:
    """The settings of `one` under the names that spaces ask for, epochs in proportion to `max_epochs`."""
    fitted = {name: value for name, value in one.items() if name != "strategy"}
    longer = max_epochs / EPOCHS
    if "step_size" in one:
        fitted["step_size"] = min(longest_step, max(1, round(one["step_size"] * longer)))
    if "unfreeze_at" in one:
        latest = common.latest_unfreeze_at(one["strategy"], model, max_epochs)
        name = common.unfreeze_at_name(one["strategy"], model)
        fitted[name] = max(1, min(latest, round(fitted.pop("unfreeze_at") * longer)))
    return fitted
