"""The study's GoogLeNet runs with EfficientNet-Lite0 in GoogLeNet's place. No search.

GoogLeNet's ImageNet weights need a network; EfficientNet-Lite0's come with a package. The model has no auxiliary
heads, so the study's "fine-tuned" runs differ from its plain ones by nothing but a seed: their backbone is given the
rate that it would have anyway.
"""

from typing import TYPE_CHECKING, Any

from search_spaces import common, study

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MODEL = "timm:tf_efficientnet_lite0"
RATE = study.COMMON["learning_rate"].value

grid = True
defaults = {"samples": 10, "max_epochs": study.MAX_EPOCHS, "image_size": 128}

_ASKED = ("strategy", "label_smoothing", "schedule")


def _row(run: study.StudyRun) -> dict[str, Any]:
    row = {name: run.parameters[name] for name in _ASKED}
    untrained = run.parameters.get("auxiliary_weight") == 0
    if untrained or run.parameters["strategy"] == "full":
        row |= {"strategy": "full", "backbone_learning_rate": RATE if untrained else None}
    return row


first_trials = [_row(run) for run in (*study.GOOGLENET_RUNS, study.FEATURE_EXTRACTOR)]
published = [
    ({"model": MODEL, **row}, run.name, run.accuracies)
    for row, run in zip(first_trials, (*study.GOOGLENET_RUNS, study.FEATURE_EXTRACTOR), strict=True)
]
pairs = study.PAIRS
deviations = (
    "The model is EfficientNet-Lite0, not GoogLeNet, at 128 px, not 224: the study's figures stand beside for their"
    " spread, not for their height.",
    *study.DEVIATIONS,
)
unknown = study.UNKNOWN
remark = study.REMARK


def space(trial: "BaseTrial", max_epochs: int) -> dict[str, Any]:
    """One of the ten."""
    strategy = trial.suggest_categorical("strategy", ("full", "study_unfreeze", "feature_extractor"))
    if strategy == "full":
        trial.suggest_categorical("backbone_learning_rate", (None, RATE))
    smoothing = trial.suggest_categorical("label_smoothing", (0.0, study.SMOOTHING.value))
    schedule = trial.suggest_categorical("schedule", ("step", "plateau"))
    return common.study_constants(MODEL, max_epochs, strategy, smoothing, schedule)
