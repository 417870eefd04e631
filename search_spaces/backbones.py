"""The study's five models, fully fine-tuned. No search.

Settings and figures come from `search_spaces/study.py`. Those of the models other than GoogLeNet are not given: those
of its first GoogLeNet runs are a reading.
"""

from typing import TYPE_CHECKING, Any

from search_spaces import study

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

grid = True
defaults = {"samples": 5, "max_epochs": study.MAX_EPOCHS}

MODELS = tuple(run.parameters["model"] for run in study.BACKBONE_RUNS)

first_trials = [{"model": model} for model in MODELS]
published = study.published(study.BACKBONE_RUNS, study.FULL)
deviations = study.DEVIATIONS
unknown = study.UNKNOWN
remark = study.REMARK


def space(trial: "BaseTrial") -> dict[str, Any]:
    """The model; the rest as in the study."""
    trial.suggest_categorical("model", MODELS)
    return {"strategy": "full", **study.values({**study.COMMON, **study.STEP})}
