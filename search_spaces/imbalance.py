"""ResNet50: weighted sampler, weighted loss, both, neither.

No search. The study had neither and both; settings and figures come from `search_spaces/study.py`. Optimizer,
learning rate and schedule of its ResNet50 are not given: those of its first GoogLeNet runs are a reading.
"""

from typing import TYPE_CHECKING, Any

from search_spaces import study

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MODEL = "resnet50"

grid = True
defaults = {"samples": 4, "max_epochs": study.MAX_EPOCHS}

first_trials = [
    *(dict(run.parameters) for run in study.IMBALANCE_RUNS),
    {"sampler": "weighted", "class_weight_power": 0.0},
    {"sampler": "shuffle", "class_weight_power": 1.0},
]
published = study.published(study.IMBALANCE_RUNS, {"model": MODEL})
deviations = study.DEVIATIONS
unknown = study.UNKNOWN
remark = study.REMARK


def space(trial: "BaseTrial") -> dict[str, Any]:
    """The sampler and the class weights, on or off; the rest as in the study."""
    trial.suggest_categorical("sampler", ("shuffle", "weighted"))
    trial.suggest_categorical("class_weight_power", (0.0, 1.0))
    return {"model": MODEL, "strategy": "full", **study.values({**study.COMMON, **study.STEP})}
