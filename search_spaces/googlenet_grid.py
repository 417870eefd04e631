"""The study's nine GoogLeNet runs: three strategies, three losses.

The losses are plain, smoothed by 0.1, and smoothed with the plateau schedule. No search.

The study's words are read in the order in which it names its strategies: base is full fine-tuning (`full`),
fine-tuned is feature extraction with a new classifier (`feature_extractor`), both at learning rate 1e-3; gradual
unfreeze moves the backbone at 1e-5 once it unfreezes. It never trained the auxiliary classifiers, so `full_aux` is not
among the nine. The published accuracies come from a split by image.
"""

import itertools
from typing import TYPE_CHECKING, Any

from search_spaces import common

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MODEL = "googlenet"

grid = True
defaults = {"samples": 9, "max_epochs": 10}

_STRATEGIES = ("full", "feature_extractor", "gradual_unfreeze")
_LOSSES = ((0.0, "step"), (common.SMOOTHING, "step"), (common.SMOOTHING, "plateau"))

first_trials = [
    {"strategy": strategy, "label_smoothing": smoothing, "schedule": schedule}
    for (smoothing, schedule), strategy in itertools.product(_LOSSES, _STRATEGIES)
]

_PUBLISHED = (
    ("googlenet", 94.36),
    ("googlenet finetuned (as a feature extractor in its backbone table: 79.90)", 82.60),
    ("googlenet gradual unfreeze", 91.42),
    ("googlenet smooth", 97.06),
    ("googlenet finetuned smooth", 87.25),
    ("googlenet gradual smooth", 85.78),
    ("googlenet smooth + plateau", 87.99),
    ("googlenet finetuned smooth + plateau", 96.81),
    ("googlenet gradual smooth + plateau", 88.24),
)
published = [
    ({"model": MODEL, **parameters}, name, accuracy)
    for parameters, (name, accuracy) in zip(first_trials, _PUBLISHED, strict=True)
]


def space(trial: "BaseTrial", max_epochs: int) -> dict[str, Any]:
    """One of the nine."""
    strategy = trial.suggest_categorical("strategy", _STRATEGIES)
    trial.suggest_categorical("label_smoothing", (0.0, common.SMOOTHING))
    schedule = trial.suggest_categorical("schedule", ("step", "plateau"))
    constants = {"model": MODEL, **common.STUDY, **(common.STEP if schedule == "step" else common.PLATEAU)}
    del constants["schedule"]
    if strategy == "gradual_unfreeze":
        constants["unfreeze_at"] = common.study_unfreeze_at(MODEL, max_epochs)
        constants["backbone_learning_rate"] = common.STUDY_BACKBONE_RATE
    return constants
