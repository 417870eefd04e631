"""The study's five models at its fixed settings.

No search. The published accuracies come from a split by image.
"""

from typing import TYPE_CHECKING, Any

from search_spaces import common

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

grid = True
defaults = {"samples": 5, "max_epochs": 10}

_ACCURACIES = {
    "vgg16": ("VGG16", 99.75),
    "mobilenet_v2": ("MobileNet", 100.00),
    "googlenet": ("GoogLeNet", 82.35),
    "resnet18": ("ResNet18", 100.00),
    "resnet50": ("ResNet50", 97.79),
}
MODELS = tuple(_ACCURACIES)

first_trials = [{"model": model} for model in MODELS]
published = [
    ({"model": model, "strategy": "full"}, name, accuracy) for model, (name, accuracy) in _ACCURACIES.items()
]


def space(trial: "BaseTrial") -> dict[str, Any]:
    """The model; the rest as in the study."""
    trial.suggest_categorical("model", MODELS)
    return {"strategy": "full", **common.STUDY, **common.STEP}
