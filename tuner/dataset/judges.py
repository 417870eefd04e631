"""How many groups judge in the test part of a split, how many it takes to show anything, and which split has them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trainables.errors import DataProblem
from tuner.statistics.paired import fewest_groups

if TYPE_CHECKING:
    import pandas as pd

    from tuner.dataset.splitting import Fractions

__all__ = ["LARGER", "Judges", "count_judges", "in_option"]

LARGER: "tuple[Fractions, ...]" = ((0.7, 0.15, 0.15), (0.6, 0.2, 0.2))
"""Shares of train, val and test that are tried where the test part has too few groups."""


@dataclass(frozen=True)
class Judges:
    """Groups of the test part, fewest groups that can show a difference, and groups of all parts.

    `advised` are shares that give the test part enough groups, and how many; None where none of `LARGER` does.
    """

    groups: int
    needed: int
    every: int
    advised: "tuple[Fractions, int] | None" = None

    @property
    def enough(self) -> bool:
        """Whether a difference can be shown at all."""
        return self.groups >= self.needed


def count_judges(
    split: "pd.DataFrame", questions: int, make: "Callable[[Fractions], pd.DataFrame]", *, few: bool = False
) -> Judges:
    """The judges of `split` for so many comparisons; `make` splits the same images by other shares.

    A split that is advised was made, so it is known to exist and to have more test groups: the first of `LARGER` that
    has enough of them. One is looked for where judges are too few, or with `few` in any case.
    """
    have, needed = _tested(split), fewest_groups(questions)
    found = Judges(have, needed, int(split["group"].nunique()))
    if found.enough and not few:
        return found
    for shares in LARGER:
        try:
            count = _tested(make(shares))
        except DataProblem:
            continue
        if count >= max(needed, have + 1):
            return replace(found, advised=(shares, count))
    return found


def in_option(shares: "Fractions") -> str:
    """Shares as `--split` takes them.

    >>> in_option((0.7, 0.15, 0.15))
    '0.7,0.15,0.15'
    """
    return ",".join(f"{share:g}" for share in shares)


def _tested(split: "pd.DataFrame") -> int:
    return int(split.loc[split["split"] == "test", "group"].nunique())
