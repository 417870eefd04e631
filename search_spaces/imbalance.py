"""ResNet50: weighted sampler, weighted loss, both, neither.

The study had the last two; no search. The published accuracies come from a split by image.
"""

from typing import TYPE_CHECKING, Any

from search_spaces import common

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

grid = True
defaults = {"samples": 4, "max_epochs": 10}

first_trials = [
    {"sampler": "shuffle", "class_weight_power": 0.0},
    {"sampler": "weighted", "class_weight_power": 1.0},
    {"sampler": "weighted", "class_weight_power": 0.0},
    {"sampler": "shuffle", "class_weight_power": 1.0},
]

published = [
    ({"model": "resnet50", **first_trials[0]}, "ResNet50 baseline", 96.30),
    ({"model": "resnet50", **first_trials[1]}, "ResNet50 sampler + weighted loss", 95.83),
]


def space(trial: "BaseTrial") -> dict[str, Any]:
    """The sampler and the class weights, on or off; the rest as in the study."""
    trial.suggest_categorical("sampler", ("shuffle", "weighted"))
    trial.suggest_categorical("class_weight_power", (0.0, 1.0))
    return {"model": "resnet50", "strategy": "full", **common.STUDY, **common.STEP}
