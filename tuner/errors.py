"""The errors that tuner raises, as people import them; `trainables.errors` draws their tree.

from tuner.errors import UserMistake

try:
result = tuner.search("googlenet_full", data="potato/")
except UserMistake as mistake:  # one sentence: the value, what is wrong with it, what would be right
print(mistake)
"""

from trainables.errors import (
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
)

__all__ = [
    "ClusterProblem",
    "DataProblem",
    "Diverged",
    "InvalidValue",
    "RunProblem",
    "TrialFailed",
    "TunerError",
    "UnknownName",
    "UserMistake",
    "WeightsUnavailable",
]
