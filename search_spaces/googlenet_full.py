"""GoogLeNet: what the study varied and fixed, its runs first.

The first trials are those of `portfolio`, then the study's nine runs, its feature extractor and full fine-tuning with
trained auxiliary heads, as in `googlenet_grid`; configurations that it trained twice come once. All ranges hold the
study's values with room on both sides, where a value is not itself the end of what is possible (no smoothing, no class
weights, no weight decay). `min_delta` is not searched for, so its ninth run has the 0.001 of all others here. The prior
is that of `common.usual_prior`, which says what it follows.
"""

from typing import TYPE_CHECKING, Any

from search_spaces import common, portfolio, study
from trainables import augmentations

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MODEL = "googlenet"

defaults = {"samples": 24, "max_epochs": study.MAX_EPOCHS}

_FIXED = ("optimizer", "batch_size", "patience", "min_delta")
_SHARED = {
    "learning_rate": study.COMMON["learning_rate"].value,
    "augmentation": study.COMMON["augmentation"].value,
    "weight_decay": common.NO_DECAY,
    "dropout": 0.2,
    "class_weight_power": 0.0,
    "sampler": "shuffle",
}
LONGEST_STEP = 25


def space(trial: "BaseTrial", max_epochs: int) -> dict[str, Any]:
    """Sample everything that the study varied, and what it left fixed."""
    trial.suggest_categorical("model", (MODEL,))
    common.suggest_strategy(trial, MODEL, max_epochs, also=("study_unfreeze",))
    common.suggest_optimizer(trial, ("adam",))
    common.suggest_regularisation(trial)
    common.suggest_imbalance(trial)
    common.suggest_schedule(trial, LONGEST_STEP)
    trial.suggest_categorical("augmentation", augmentations.names())
    return {name: study.COMMON[name].value for name in _FIXED}


def first_trials(max_epochs: int) -> list[dict[str, Any]]:
    """The portfolio, then the study's configurations; left out is whose unfreeze does not fit into `max_epochs`."""
    begin = [
        {**one, "augmentation": augmentations.DEFAULT}
        for one in portfolio.first_trials(MODEL, max_epochs, longest_step=LONGEST_STEP)
    ]
    fitting = common.fitting_strategies(MODEL, max_epochs, also=("study_unfreeze",))
    runs = [run.parameters for run in study.GOOGLENET_RUNS if run.parameters["strategy"] != "full_aux"]
    chosen = [*runs, study.FEATURE_EXTRACTOR.parameters, study.MEANT]
    return begin + [_asked(dict(given), max_epochs) for given in chosen if given["strategy"] in fitting]


def prior(max_epochs: int) -> dict[str, dict[str, float]]:
    """The usual one: what published practice expects, not what the study chose."""
    return common.usual_prior(
        {"strategy": common.fitting_strategies(MODEL, max_epochs, also=("study_unfreeze",))}
    )


def _asked(given: dict[str, Any], max_epochs: int) -> dict[str, Any]:
    """The parameters of a run of the study that this space samples, in full."""
    for fixed in ("min_delta", "plateau_min_lr"):
        given.pop(fixed, None)
    if given["strategy"] == "study_unfreeze":
        given["unfreeze_at"] = common.study_unfreeze_at(MODEL, max_epochs)
    elif given["strategy"] in ("full", "full_aux"):
        given["backbone_learning_rate"] = _SHARED["learning_rate"]
    return {"model": MODEL, **given, **_SHARED}
