"""One pretrained model for ten epochs: the space whose learning curves are recorded and searches replayed over.

It stays as it was when they were recorded, whatever `googlenet_full` becomes; whoever loads it restricts it by
`restricted_to` one model. Its prior is the usual one of tuner's own spaces, which no curve had a part in.
"""

import itertools
from typing import TYPE_CHECKING, Any

from search_spaces import common

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MODELS = ("googlenet", "timm:tf_efficientnet_lite0", "timm:tf_efficientnet_lite1")

STRATEGIES = ("feature_extractor", "full", "full_aux", "gradual_unfreeze", "staged_unfreeze")
"""Those that there were when curves were recorded."""

defaults = {"samples": 24, "max_epochs": 10}

_STEP = {"schedule": "step", "step_size": 7, "gamma": 0.1}
_PLATEAU = {"schedule": "plateau", "plateau_factor": 0.1, "plateau_patience": 2}
_LOSSES = ((0.0, _STEP), (0.1, _STEP), (0.1, _PLATEAU))


def restricted_to(model: str) -> dict[str, tuple[str, ...]]:
    """What the space is narrowed to for `model`, as `search_spaces.configure` takes it."""
    return {"model": (model,), "strategy": STRATEGIES}


def space(trial: "BaseTrial", max_epochs: int) -> dict[str, Any]:
    """Sample the strategy and all that belongs to it, loss and schedule."""
    model = trial.suggest_categorical("model", MODELS)
    # The choices differ from model to model, and one name has one range.
    common.suggest_strategy(trial, model, max_epochs, name=f"strategy@{model}")
    common.suggest_optimizer(trial, ("adam",))
    common.suggest_regularisation(trial)
    common.suggest_imbalance(trial)
    schedule = trial.suggest_categorical("schedule", ("step", "plateau", "cosine"))
    if schedule == "step":
        trial.suggest_int("step_size", 1, 10)
        trial.suggest_float("gamma", 0.05, 0.7, log=True)
    elif schedule == "plateau":
        trial.suggest_float("plateau_factor", 0.05, 0.7, log=True)
        trial.suggest_int("plateau_patience", 0, 4)
    return {"optimizer": "adam"}


def first_trials(max_epochs: int) -> list[dict[str, Any]]:
    """Three strategies under three losses of each model, those left out whose unfreeze does not fit `max_epochs`."""
    fixed = {
        "learning_rate": 1e-3,
        "weight_decay": common.NO_DECAY,
        "dropout": 0.2,
        "class_weight_power": 0.0,
        "sampler": "shuffle",
    }
    return [
        {"model": model, **_asked(model, strategy), "label_smoothing": smoothing, **schedule, **fixed}
        for model in MODELS
        for (smoothing, schedule), strategy in itertools.product(_LOSSES, _strategies(model, max_epochs))
        if strategy["strategy"] in common.fitting_strategies(model, max_epochs)
    ]


def prior(max_epochs: int) -> dict[str, dict[str, float]]:
    """What published practice expects."""
    return common.usual_prior({"strategy": common.fitting_strategies(MODELS[0], max_epochs)})


def _asked(model: str, strategy: dict[str, Any]) -> dict[str, Any]:
    """The strategy under the name by which the space asks for it."""
    return {f"strategy@{model}" if name == "strategy" else name: value for name, value in strategy.items()}


def _strategies(model: str, max_epochs: int) -> tuple[dict[str, Any], ...]:
    unfreeze_at = max(1, min(3, common.latest_unfreeze_at("gradual_unfreeze", model, max_epochs)))
    return (
        {"strategy": "full", "backbone_learning_rate": 1e-3},
        {"strategy": "feature_extractor"},
        {"strategy": "gradual_unfreeze", "backbone_learning_rate": 1e-5, "unfreeze_at": unfreeze_at},
    )
