"""The one place that touches names that Optuna keeps to itself; tried with Optuna 5.0.0.

Samplers look at a study through its `_get_trials`, and no public way offers them a choice of the trials. Whoever moves
to another version of Optuna tries `tests/tuner/tuning/test_sampler.py` with it: a sampler that looks at the trials in
another way would see all of them there.
"""

from collections.abc import Container

import optuna
from optuna.trial import FrozenTrial, TrialState

__all__ = ["PartialStudy", "trials_seen"]


class PartialStudy(optuna.Study):
    """A study that shows its samplers the trials in `visible` only; all of them while that is None."""

    visible: list[FrozenTrial] | None = None

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        if self.visible is None:
            return super()._get_trials(deepcopy, states, use_cache)
        return [trial for trial in self.visible if states is None or trial.state in states]


def trials_seen(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that a sampler of `study` looks at, not copied."""
    return study._get_trials(deepcopy=False)
