"""Find which model, fine-tuned how, classifies your images best; say how sure that is; get the model.

    >>> import tuner
    >>> result = tuner.search("my_space.py", data="potato/", groups="potato-groups.csv")  # doctest: +SKIP
    >>> print(tuner.compare(result.run.path).conclusion)  # doctest: +SKIP
    >>> tuner.export(result.run.path, out="best.yaml")  # doctest: +SKIP
    >>> model = tuner.retrain("best.yaml", out="model").folder  # doctest: +SKIP
    >>> tuner.predict(model, "new-images/").table  # doctest: +SKIP

The functions do what the commands of these names do. What a person can mend is raised as a `UserMistake`:

    >>> try:
    ...     tuner.SearchConfig(space="googlenet_full", metric="accuracy")
    ... except tuner.UserMistake as mistake:
    ...     print(mistake)
    unknown metric 'accuracy'; did you mean 'val_accuracy'? known: val_accuracy, val_auroc, \
val_balanced_accuracy, val_loss, val_macro_f1, val_sensitivity_at_95
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.advice.advise import Advice
    from tuner.api import (
        advise,
        compare,
        export,
        export_int8,
        plan,
        predict,
        probe,
        release_model,
        resume,
        retrain,
        search,
    )
    from tuner.dataset.config import DataConfig
    from tuner.errors import (
        ClusterProblem,
        DataProblem,
        Diverged,
        InvalidValue,
        RunProblem,
        TrialFailed,
        TunerError,
        UnknownName,
        UserMistake,
        WeightsUnavailable,
        WorkerBroken,
    )
    from tuner.evaluation.comparison.evidence import Comparison
    from tuner.planning.plan import Plan
    from tuner.probing.probed import Probed
    from tuner.probing.ranking import Probe
    from tuner.release.answers import Predictions
    from tuner.release.int8 import Quantised
    from tuner.release.job import RetrainConfig, Retrained
    from tuner.release.predictions import Prediction
    from tuner.runs.best import Best
    from tuner.runs.directory import Run
    from tuner.tuning.config import SearchConfig
    from tuner.tuning.result import SearchResult

__all__ = [
    "Advice",
    "Best",
    "ClusterProblem",
    "Comparison",
    "DataConfig",
    "DataProblem",
    "Diverged",
    "Interrupted",
    "InvalidValue",
    "Plan",
    "Prediction",
    "Predictions",
    "Probe",
    "Probed",
    "Quantised",
    "RetrainConfig",
    "Retrained",
    "Run",
    "RunProblem",
    "SearchConfig",
    "SearchResult",
    "TrialFailed",
    "TunerError",
    "UnknownName",
    "UserMistake",
    "WeightsUnavailable",
    "WorkerBroken",
    "advise",
    "compare",
    "export",
    "export_int8",
    "plan",
    "predict",
    "probe",
    "release_model",
    "resume",
    "retrain",
    "search",
]

_ELSEWHERE = {
    "Advice": "tuner.advice.advise",
    "Best": "tuner.runs.best",
    "Comparison": "tuner.evaluation.comparison.evidence",
    "DataConfig": "tuner.dataset.config",
    "Plan": "tuner.planning.plan",
    "Prediction": "tuner.release.predictions",
    "Predictions": "tuner.release.answers",
    "Quantised": "tuner.release.int8",
    "RetrainConfig": "tuner.release.job",
    "Retrained": "tuner.release.job",
    "Run": "tuner.runs.directory",
    "SearchConfig": "tuner.tuning.config",
    "SearchResult": "tuner.tuning.result",
    "Probe": "tuner.probing.ranking",
    "Probed": "tuner.probing.probed",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for: `import tuner` loads neither torch nor Ray."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    errors = import_module("tuner.errors")
    return getattr(
        errors if hasattr(errors, name) else import_module(_ELSEWHERE.get(name, "tuner.api")), name
    )


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted({*globals(), *__all__})
