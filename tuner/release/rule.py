"""From probabilities to an answer: the class that is named, silence below a confidence, a set of classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.errors import InvalidValue, RunProblem
from trainables.ranges import ALPHA, MIN_CONFIDENCE, within
from trainables.wording import some
from tuner.evaluation.comparison.costs import decide
from tuner.release.folder import ModelSpec
from tuner.release.predictions import UNSURE, Prediction
from tuner.statistics.conformal import (
    conformal_sets,
    enough_from,
    needed_groups,
    thresholds,
    why_every_class,
)

__all__ = ["Rule", "make_rule"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """How answers are made of probabilities; a field that is None asks for nothing.

    `costs` [true class, named class] make the class of least expected cost be named, else it is the likeliest. An image
    whose likeliest class has less than `min_confidence` is unsure. `limits` [classes] are the thresholds of sets.
    `warnings` are what a person should know of them.
    """

    costs: FloatArray | None = None
    min_confidence: float | None = None
    limits: FloatArray | None = None
    warnings: tuple[str, ...] = ()

    @property
    def remark(self) -> str | None:
        """What a person should know of every answer, beside the warnings."""
        if self.costs is None:
            return None
        return "named is the class of least expected cost, by the costs that the model was retrained with"

    def answers(self, paths: Sequence[str], probabilities: npt.ArrayLike) -> list[Prediction]:
        """The answers for `paths` [n], whose `probabilities` are [n, classes]."""
        found = np.asarray(probabilities, dtype=np.float64)
        named = found.argmax(axis=1) if self.costs is None else decide(found, self.costs)
        unsure = np.zeros(len(found), dtype=bool)
        if self.min_confidence is not None:
            unsure = found.max(axis=1) < self.min_confidence
        sets = None if self.limits is None else conformal_sets(found, self.limits)
        return [
            Prediction(
                path=path,
                probabilities=tuple(row.tolist()),
                named=int(named[place]),
                unsure=bool(unsure[place]),
                classes_in_set=None if sets is None else tuple(np.flatnonzero(sets[place]).tolist()),
            )
            for place, (path, row) in enumerate(zip(paths, found, strict=True))
        ]


def make_rule(spec: ModelSpec, alpha: float | None = None, min_confidence: float | None = None) -> Rule:
    """The rule of a model, with sets that may miss the truth at most `alpha` of the time.

    Raises InvalidValue for numbers out of range and for a class named like the answer unsure, RunProblem if sets are
    asked of a model that was not calibrated.
    """
    alpha = within(ALPHA, alpha, "--alpha")
    min_confidence = within(MIN_CONFIDENCE, min_confidence, "--min-confidence")
    if min_confidence is not None and UNSURE in spec.classes:
        raise InvalidValue(
            f"--min-confidence answers {UNSURE!r}, which is a class of this model; rename the class, or leave it out"
        )
    costs = np.array(spec.costs) if spec.costs else None
    if alpha is None:
        return Rule(costs, min_confidence)
    if not spec.scores:
        raise RunProblem(
            f"--alpha {alpha:g}: the model has no calibrated sets, since it was retrained with --no-calibration or the"
            " calibration model that finds them diverged; retrain it without that option, or at a lower learning rate"
        )
    limits = thresholds(spec.scores, alpha)
    return Rule(costs, min_confidence, limits, _warnings(spec, limits, alpha))


def _warnings(spec: ModelSpec, limits: FloatArray, alpha: float) -> tuple[str, ...]:
    needed = needed_groups(alpha)
    if np.isinf(limits).any():
        return (why_every_class(alpha, list(map(len, spec.scores))),)
    few = [name for name, own in zip(spec.classes, spec.scores, strict=True) if len(own) < needed]
    if not few:
        return ()
    return (
        f"--alpha {alpha:g} needs {needed} calibration groups a class, and {some(few)} had fewer: for these"
        f" the sets may miss the true class more often{enough_from(min(map(len, spec.scores)))}",
    )
