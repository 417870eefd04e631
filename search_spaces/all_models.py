"""Five models, every strategy that fits each, searched.

The prior is that of `common.usual_prior`, which says what it follows. Of the models resnet50, the best on ImageNet,
weighs twice as much as each other: better ImageNet models tend to transfer better (Kornblith et al. 2019).
"""

from typing import TYPE_CHECKING, Any

from search_spaces import common

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MODELS = ("resnet18", "mobilenet_v2", "googlenet", "resnet50", "vgg16")

defaults = {"samples": 60, "max_epochs": 10}


def space(trial: "BaseTrial", max_epochs: int) -> None:
    """Sample the model, then a strategy among those that fit it, then the rest."""
    model = trial.suggest_categorical("model", MODELS)
    common.suggest_strategy(trial, model, max_epochs, name=f"strategy@{model}")
    common.suggest_optimizer(trial)
    common.suggest_regularisation(trial)
    common.suggest_imbalance(trial)
    common.suggest_schedule(trial)


def first_trials(max_epochs: int) -> list[dict[str, Any]]:
    """For each model the head alone, then everything at rates that suit pretrained weights."""
    return [
        {"model": model, f"strategy@{model}": strategy, "learning_rate": rate, **own}
        for strategy, rate, own in (
            ("feature_extractor", 1e-3, {}),
            ("full", 1e-3, {"backbone_learning_rate": 1e-4}),
        )
        for model in MODELS
    ]


def prior(max_epochs: int) -> dict[str, dict[str, float]]:
    """The usual one, and the models'."""
    fitting = {f"strategy@{model}": common.fitting_strategies(model, max_epochs) for model in MODELS}
    return {**common.usual_prior(fitting), "model": {**dict.fromkeys(MODELS, 1.0), "resnet50": 2.0}}
