"""The study's nine GoogLeNet runs and two beside them. No search.

The nine stand in the study's order and under its names. Runs 2, 5 and 8, its "fine-tuned" ones, had auxiliary heads
that never got a gradient: here `full_aux` with an auxiliary weight of 0, which computes what `full` does in 1, 4 and
7. So 1 and 2, 4 and 5, 7 and 8 are each one configuration trained twice, under different seeds here as there. The tenth
trial is the feature extractor of another of its tables, the eleventh full fine-tuning with auxiliary heads that
train, which the study meant and did not run.

Settings and figures come from `search_spaces/study.py`, which says what of them is a reading. Kept apart from the
study on purpose: one plain validation loss chooses weights and stops; a frozen module's BatchNorm stands still;
losses are means over images; bf16 where it is native; patience waits for the unfreeze; a picture is interpolated once.
"""

from typing import TYPE_CHECKING, Any

from search_spaces import common, study

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MODEL = "googlenet"

grid = True
defaults = {"samples": 11, "max_epochs": study.MAX_EPOCHS}

_RUNS = (*study.GOOGLENET_RUNS, study.FEATURE_EXTRACTOR)
_ASKED = ("strategy", "auxiliary_weight", "label_smoothing", "schedule")

first_trials = [
    {name: parameters[name] for name in _ASKED if name in parameters}
    for parameters in (*(run.parameters for run in _RUNS), study.MEANT)
]
published = study.published(_RUNS, {"model": MODEL})
pairs = study.PAIRS
deviations = study.DEVIATIONS
unknown = study.UNKNOWN
remark = study.REMARK


def space(trial: "BaseTrial", max_epochs: int) -> dict[str, Any]:
    """One of the eleven."""
    strategy = trial.suggest_categorical(
        "strategy", ("full", "full_aux", "study_unfreeze", "feature_extractor")
    )
    if strategy == "full_aux":
        trial.suggest_categorical("auxiliary_weight", (0.0, study.TRAINED_AUXILIARY.value))
    smoothing = trial.suggest_categorical("label_smoothing", (0.0, study.SMOOTHING.value))
    schedule = trial.suggest_categorical("schedule", ("step", "plateau"))
    return common.study_constants(MODEL, max_epochs, strategy, smoothing, schedule)
