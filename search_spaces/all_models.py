"""Five models, every strategy that fits each, searched.

The prior is that of `common.usual_prior`, which says what it follows. Of the models resnet50, the best on ImageNet,
weighs twice as much as each other: better ImageNet models tend to transfer better (Kornblith et al. 2019).
"""

from typing import TYPE_CHECKING, Any

from search_spaces import common, portfolio

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
    """The first two of the portfolio with each model; one round of the models is one configuration."""
    by_model = [
        portfolio.first_trials(model, max_epochs, strategy=f"strategy@{model}", count=2) for model in MODELS
    ]
    return [{**one, "optimizer": "adam"} for round_ in zip(*by_model, strict=True) for one in round_]


def prior(max_epochs: int) -> dict[str, dict[str, float]]:
    """The usual one, and the models'."""
    fitting = {f"strategy@{model}": common.fitting_strategies(model, max_epochs) for model in MODELS}
    return {**common.usual_prior(fitting), "model": {**dict.fromkeys(MODELS, 1.0), "resnet50": 2.0}}
