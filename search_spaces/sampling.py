"""Configurations that a space proposes, without a search."""

from collections.abc import Iterator, Mapping
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
