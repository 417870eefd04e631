"""What several spaces have in common: parameters that belong together, with their usual ranges."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search_spaces import study
from trainables import models, strategies
from trainables.config import AUXILIARY_WEIGHT, CONDITIONS, TrialConfig

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

UNASKED = ("linear_probe", "study_unfreeze")
"""Strategies that a space has to name to have them. A linear probe has little to search for, and its one setting can be
found without a trial (see `tuner probe`); the other is there to repeat somebody's runs."""

NO_DECAY = 1e-7
"""The low end of a logarithmic weight decay, where it does nothing that can be measured."""


LONGEST_STEP = 10
"""Epochs of a step schedule's step at most, where a space says nothing else."""


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


def suggest_schedule(trial: "BaseTrial", longest_step: int = LONGEST_STEP) -> None:
    """Sample the schedule and, under each, its own settings; a step lasts at most `longest_step` epochs."""
    schedule = trial.suggest_categorical("schedule", ("step", "plateau", "cosine"))
    if schedule == "step":
        trial.suggest_int("step_size", 1, longest_step)
        trial.suggest_float("gamma", 0.05, 0.9, log=True)
    elif schedule == "plateau":
        trial.suggest_float("plateau_factor", 0.05, 0.9, log=True)
        trial.suggest_int("plateau_patience", 0, 4)


def suggest_strategy(
    trial: "BaseTrial",
    model: str,
    max_epochs: int,
    name: str = "strategy",
    also: Sequence[str] = (),
    rate: str = "backbone_learning_rate",
    choices: Sequence[str] | None = None,
) -> str:
    """Sample a strategy that fits `model` and `max_epochs` under `name`, and the strategy's own settings.

    Returned is the strategy. `also`: see `fitting_strategies`. `rate` is the name for the backbone's learning rate;
    `choices` takes the place of all that fit.
    """
    fitting = fitting_strategies(model, max_epochs, also) if choices is None else choices
    strategy = trial.suggest_categorical(name, fitting)
    if strategy in CONDITIONS["backbone_learning_rate"].values:
        trial.suggest_float(rate, 1e-6, 1e-2, log=True)
    if strategy in CONDITIONS["unfreeze_at"].values:
        trial.suggest_int(
            unfreeze_at_name(strategy, model), 1, latest_unfreeze_at(strategy, model, max_epochs)
        )
    if strategy in CONDITIONS["stage_decay"].values:
        trial.suggest_float("stage_decay", 0.1, 1.0, log=True)
    if strategy in CONDITIONS["probe_l2"].values:
        trial.suggest_float("probe_l2", 1e-4, 1.0, log=True)
    if strategy in CONDITIONS["auxiliary_weight"].values:
        trial.suggest_float("auxiliary_weight", 0.05, 1.0, log=True)
    return str(strategy)


STRATEGY_WEIGHTS = {
    "full": 4.0,
    "full_aux": 1.0,
    "gradual_unfreeze": 2.0,
    "probe_then_full": 3.0,
    "layerwise": 3.0,
    "staged_unfreeze": 1.0,
    "study_unfreeze": 1.0,
    "feature_extractor": 1.0,
    "linear_probe": 1.0,
}
"""How often each is expected to do well, relative to the others; see `usual_prior`."""


def usual_prior(strategies_by_name: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """What published practice expects of the parameters above; `strategies_by_name` are the choices of each strategy.

    Widths are standard deviations, of rates and decays in decades. Half a decade for rates is what papers search around
    their defaults; Li et al. 2020 (Rethinking the Hyperparameters for Fine-tuning) find that the best ones depend on
    how near the new images are to ImageNet, so that no narrower one would do.

    - Strategies: Kornblith et al. 2019 (Do Better ImageNet Models Transfer Better?) find the whole network fine-tuned
      ahead of fixed features on nearly all of their data sets. Kumar et al. 2022 (Fine-Tuning can Distort Pretrained
      Features) solve the head first, then train everything; Bao et al. 2022 (BEiT) fine-tune everything at rates that
      fall towards the input. Stage by stage weighs less: Howard and Ruder 2018 show it on texts. So do auxiliary heads,
      whose effect Szegedy et al. 2015 put at half a percent.
    - `learning_rate` of the heads: Adam's own 1e-3 (Kingma and Ba 2015). `backbone_learning_rate`: a tenth, as
      Girshick et al. 2014 fine-tune at a tenth of the rate of pretraining so as not to spoil it. `stage_decay`: Howard
      and Ruder divide by 2.6 from one layer to the next. `probe_l2`: Kornblith et al. search many decades; the middle
      of those that are solved here.
    - `weight_decay`: 1e-4 as He et al. 2016; Kornblith et al. search several decades, and none at all.
    - `label_smoothing` 0.1: Szegedy et al. 2016. `auxiliary_weight` 0.3: Szegedy et al. 2015. `dropout`: between the
      0.4 of Szegedy et al. 2015 and the 0.2 of Tan and Le 2019's smallest EfficientNet.
    - `class_weight_power`, `sampler`: rather without. Training with other class frequencies than those of use gives
      probabilities for those other frequencies (Elkan 2001, The Foundations of Cost-Sensitive Learning, section 2), and
      the validation loss counts images as they are.
    - Schedules: cosine (Loshchilov and Hutter 2017) twice as often as each of the others; steps and plateaus
      divide the rate by 10 as He et al. 2016.
    """
    prior: dict[str, dict[str, float]] = {
        "learning_rate": {"centre": 1e-3, "width": 0.5},
        "backbone_learning_rate": {"centre": 1e-4, "width": 0.5},
        "stage_decay": {"centre": 1 / 2.6, "width": 0.3},
        "probe_l2": {"centre": 1e-2, "width": 0.75},
        "auxiliary_weight": {"centre": AUXILIARY_WEIGHT, "width": 0.3},
        "weight_decay": {"centre": 1e-4, "width": 1.25},
        "label_smoothing": {"centre": 0.1, "width": 0.07},
        "dropout": {"centre": 0.3, "width": 0.15},
        "class_weight_power": {"centre": 0.0, "width": 0.35},
        "sampler": {"shuffle": 3.0, "weighted": 1.0},
        "schedule": {"step": 1.0, "plateau": 1.0, "cosine": 2.0},
        "gamma": {"centre": 0.1, "width": 0.5},
        "plateau_factor": {"centre": 0.1, "width": 0.5},
    }
    followed = {strategy for choices in strategies_by_name.values() for strategy in choices}
    only = {name: condition for name, condition in CONDITIONS.items() if condition.field == "strategy"}
    asked = {name: own for name, own in prior.items() if name not in only or followed & {*only[name].values}}
    weights = {
        name: {strategy: STRATEGY_WEIGHTS.get(strategy, 1.0) for strategy in choices}
        for name, choices in strategies_by_name.items()
    }
    return {**asked, **weights}


def fitting_strategies(model: str, max_epochs: int, also: Sequence[str] = ()) -> tuple[str, ...]:
    """The strategies that `model` can follow and that unfreeze early enough in `max_epochs`, sorted.

    Those in `UNASKED` are among them if `also` names them.
    """
    return tuple(
        name
        for name in strategies.names()
        if (name not in UNASKED or name in also)
        and models.has_auxiliary(model) >= strategies.wants_auxiliary(name)
        and latest_unfreeze_at(name, model, max_epochs) >= 1
    )


def unfreeze_at_name(strategy: str, model: str) -> str:
    """The name under which a space asks for unfreeze_at.

    A staged unfreeze's range depends on the depth, and a name with a range that moves is lost on Optuna's TPE.
    """
    return (
        f"unfreeze_at@{models.num_stages(model)}-stages" if strategy == "staged_unfreeze" else "unfreeze_at"
    )


def usual_grace(max_epochs: int) -> int:
    """Full epochs that a trial may spend before it is judged: three tenths of its epochs, from 1 to 10.

    Why so many is measured by `benchmarks/search/search_quality.py --designs`.
    """
    return min(10, max(1, (3 * max_epochs + 5) // 10))


def latest_unfreeze_at(strategy: str, model: str, max_epochs: int) -> int:
    """The largest unfreeze_at that leaves room for a rung after the last unfreeze; 0 if there is none.

    Room is the usual grace period, but two epochs where there are four or more. At most half of the epochs pass
    before the first unfreeze.
    """
    room = max(2 if max_epochs >= 4 else 1, usual_grace(max_epochs))
    for unfreeze_at in range(max(1, max_epochs // 2), 0, -1):
        if last_unfreeze(strategy, model, unfreeze_at) - 1 + room <= max_epochs:
            return unfreeze_at
    return 0


@functools.cache  # a space asks about twenty times a trial, and a check draws hundreds of trials
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
