"""What several spaces have in common: parameters that belong together, with their usual ranges."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from search_spaces import study
from trainables import models, strategies
from trainables.config import CONDITIONS, TrialConfig

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

REPEATING = ("study_unfreeze",)
"""Strategies that are there to repeat somebody's runs, not to be searched for."""

NO_DECAY = 1e-7
"""The low end of a logarithmic weight decay, where it does nothing that can be measured."""


def suggest_optimizer(trial: "BaseTrial", optimizers: Sequence[str] = ("adam", "adamw")) -> None:
    """Sample learning_rate and weight_decay, and the optimizer where there is a choice."""
    if len(optimizers) > 1:
        trial.suggest_categorical("optimizer", optimizers)
    trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)
    trial.suggest_float("weight_decay", NO_DECAY, 1e-2, log=True)


def suggest_imbalance(trial: "BaseTrial") -> None:
    """Sample what answers rare classes: class_weight_power and the sampler."""
    trial.suggest_float("class_weight_power", 0.0, 1.0)
    trial.suggest_categorical("sampler", ("shuffle", "weighted"))


def suggest_regularisation(trial: "BaseTrial") -> None:
    """Sample label_smoothing and the head's dropout."""
    trial.suggest_float("label_smoothing", 0.0, 0.2)
    trial.suggest_float("dropout", 0.0, 0.5)


def suggest_schedule(trial: "BaseTrial", longest_step: int = 10) -> None:
    """Sample the schedule and, under each, its own settings; a step lasts at most `longest_step` epochs."""
    schedule = trial.suggest_categorical("schedule", ("step", "plateau", "cosine"))
    if schedule == "step":
        trial.suggest_int("step_size", 1, longest_step)
        trial.suggest_float("gamma", 0.05, 0.9, log=True)
    elif schedule == "plateau":
        trial.suggest_float("plateau_factor", 0.05, 0.9, log=True)
        trial.suggest_int("plateau_patience", 0, 4)


def suggest_strategy(
    trial: "BaseTrial", model: str, max_epochs: int, name: str = "strategy", also: Sequence[str] = ()
) -> None:
    """Sample a strategy that fits `model` and `max_epochs` under `name`, and the strategy's own settings.

    `also`: see `fitting_strategies`.
    """
    strategy = trial.suggest_categorical(name, fitting_strategies(model, max_epochs, also))
    if strategy in CONDITIONS["backbone_learning_rate"].values:
        trial.suggest_float("backbone_learning_rate", 1e-6, 1e-2, log=True)
    if strategy in CONDITIONS["unfreeze_at"].values:
        # A staged unfreeze's range depends on the depth, and a name with a range that moves is lost on Optuna's TPE.
        own = f"@{models.num_stages(model)}-stages" if strategy == "staged_unfreeze" else ""
        trial.suggest_int(f"unfreeze_at{own}", 1, latest_unfreeze_at(strategy, model, max_epochs))
    if strategy in CONDITIONS["stage_decay"].values:
        trial.suggest_float("stage_decay", 0.1, 1.0, log=True)
    if strategy in CONDITIONS["auxiliary_weight"].values:
        trial.suggest_float("auxiliary_weight", 0.05, 1.0, log=True)


def fitting_strategies(model: str, max_epochs: int, also: Sequence[str] = ()) -> tuple[str, ...]:
    """The strategies that `model` can follow and that unfreeze early enough in `max_epochs`, sorted.

    Those that only repeat something, and are nothing to search with, are among them if `also` names them.
    """
    return tuple(
        name
        for name in strategies.names()
        if (name not in REPEATING or name in also)
        and models.has_auxiliary(model) >= strategies.wants_auxiliary(name)
        and latest_unfreeze_at(name, model, max_epochs) >= 1
    )


def latest_unfreeze_at(strategy: str, model: str, max_epochs: int) -> int:
    """The largest unfreeze_at that leaves room for a rung after the last unfreeze; 0 if there is none.

    Room is the usual grace period, a fifth of the epochs, but two where there are four or more. At most half
    of the epochs pass before the first unfreeze.
    """
    room = max(2 if max_epochs >= 4 else 1, max_epochs // 5)
    for unfreeze_at in range(max(1, max_epochs // 2), 0, -1):
        if last_unfreeze(strategy, model, unfreeze_at) - 1 + room <= max_epochs:
            return unfreeze_at
    return 0


def last_unfreeze(strategy: str, model: str, unfreeze_at: int) -> int:
    """The epoch in which the last stage of `model` unfreezes, 1-based."""
    own: dict[str, Any] = {"unfreeze_at": unfreeze_at} if strategy in CONDITIONS["unfreeze_at"].values else {}
    config = TrialConfig.resolve({"model": model, "strategy": strategy, **own})
    return strategies.last_unfreeze(config, models.num_stages(model))


def study_unfreeze_at(model: str, max_epochs: int) -> int:
    """The study's unfreeze_at, or the latest that fits into `max_epochs`, at least 1."""
    return max(1, min(int(study.UNFREEZE_AT.value), latest_unfreeze_at("study_unfreeze", model, max_epochs)))


def study_constants(
    model: str, max_epochs: int, strategy: str, smoothing: float, schedule: str
) -> dict[str, Any]:
    """All that a GoogLeNet run of the study fixes, with `model` in GoogLeNet's place, beside the choices given."""
    step = study.STEEP_STEP if smoothing else study.STEP
    constants = study.values({**study.COMMON, **(step if schedule == "step" else study.PLATEAU)})
    del constants["schedule"]
    if strategy == "study_unfreeze":
        constants["unfreeze_at"] = study_unfreeze_at(model, max_epochs)
        constants["backbone_learning_rate"] = study.UNFROZEN_RATE.value
        if schedule == "plateau":
            constants["min_delta"] = study.NINTH_MIN_DELTA.value
    return {"model": model, **constants}
