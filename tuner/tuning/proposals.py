"""Where a run's configurations come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import search_spaces
from search_spaces import Space

__all__ = ["Proposals"]


@dataclass(frozen=True)
class Proposals:
    """Where configurations come from: the space, what the command fixed or restricted, the sampler, its seed."""

    space: Space
    overrides: Mapping[str, Any]
    allowed: Mapping[str, tuple[str, ...]]
    sampler: str
    seed: int

    def first_trials(self) -> tuple[Mapping[str, Any], ...]:
        """The space's first trials that the restrictions let through, in order."""
        return search_spaces.first_trials(self.space, int(self.overrides["max_epochs"]), self.allowed)
