"""Configurations that a space proposes, without a search."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from search_spaces._checking import SAMPLES, FirstTrial, first_trial, random_study
from search_spaces._configure import configure, first_trials, max_epochs_of
from search_spaces._space import Space
from trainables.config import TrialConfig


def sample_configs(
    space: Space,
    overrides: Mapping[str, Any],
    allowed: Mapping[str, tuple[str, ...]],
    num_samples: int = SAMPLES,
) -> Iterator[TrialConfig]:
    """The first trials' configs, then random ones until there are `num_samples`; of a grid the first trials only."""
    study = random_study()
    first = first_trials(space, max_epochs_of(space, overrides), allowed)[:num_samples]
    for parameters in first:
        yield configure(space, first_trial(study, parameters, space.reference), overrides, allowed)  # type: ignore[arg-type]
    for _ in range(0 if space.grid else num_samples - len(first)):
        yield configure(space, study.ask(), overrides, allowed)


class GivenTrial(FirstTrial):
    """A trial whose values are all `given`; `parameters` are those that it was asked for, by the names asked."""

    def __init__(self, given: Mapping[str, Any], what: str) -> None:
        super().__init__(None, given, what)

    @property
    def parameters(self) -> dict[str, Any]:
        """Name and value of everything asked so far."""
        return {name: self._given[name] for name in sorted(self._asked)}


class CheckedTrial(FirstTrial):
    """A trial of a study, of whose parameters some are `given`: its sampler proposes these, and they are checked here.

    Raises InvalidValue for a given value that the space could not have drawn.
    """

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`, drawn by the study's trial."""
        value = super().suggest_categorical(name, choices)
        return self._rest.suggest_categorical(name, choices) if name in self._given else value

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        """A number from `low` to `high`, drawn by the study's trial."""
        value = super().suggest_float(name, low, high, **how)
        return float(self._rest.suggest_float(name, low, high, **how)) if name in self._given else value

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        """A whole number from `low` to `high`, drawn by the study's trial."""
        value = super().suggest_int(name, low, high, **how)
        return int(self._rest.suggest_int(name, low, high, **how)) if name in self._given else value
