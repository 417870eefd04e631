"""GoogLeNet: what the study varied and fixed, its nine runs first.

The study's nine are base (`full`), fine-tuned (`feature_extractor`) and gradual unfreeze, each plain, with label
smoothing 0.1, and with smoothing and the plateau schedule.
"""

import itertools
from typing import TYPE_CHECKING, Any

from search_spaces import common

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MODEL = "googlenet"

defaults = {"samples": 24, "max_epochs": 10}

_LOSSES = ((0.0, common.STEP), (common.SMOOTHING, common.STEP), (common.SMOOTHING, common.PLATEAU))


def space(trial: "BaseTrial", max_epochs: int) -> dict[str, Any]:
    """Sample everything that the study varied, and what it left fixed."""
    trial.suggest_categorical("model", (MODEL,))
    common.suggest_strategy(trial, MODEL, max_epochs)
    common.suggest_optimizer(trial, ("adam",))
    common.suggest_regularisation(trial)
    common.suggest_imbalance(trial)
    common.suggest_schedule(trial)
    return {"optimizer": "adam"}


def first_trials(max_epochs: int) -> list[dict[str, Any]]:
    """The study's nine, those left out whose unfreeze does not fit into `max_epochs`."""
    fixed = {
        "learning_rate": common.STUDY["learning_rate"],
        "weight_decay": common.NO_DECAY,
        "dropout": 0.2,
        "class_weight_power": 0.0,
        "sampler": "shuffle",
    }
    fitting = common.fitting_strategies(MODEL, max_epochs)
    return [
        {"model": MODEL, **strategy, "label_smoothing": smoothing, **schedule, **fixed}
        for (smoothing, schedule), strategy in itertools.product(_LOSSES, _strategies(max_epochs))
        if strategy["strategy"] in fitting
    ]


def _strategies(max_epochs: int) -> tuple[dict[str, Any], ...]:
    unfreeze_at = common.study_unfreeze_at(MODEL, max_epochs)
    return (
        {"strategy": "full", "backbone_learning_rate": 1e-3},
        {"strategy": "feature_extractor"},
        {
            "strategy": "gradual_unfreeze",
            "backbone_learning_rate": common.STUDY_BACKBONE_RATE,
            "unfreeze_at": unfreeze_at,
        },
    )
