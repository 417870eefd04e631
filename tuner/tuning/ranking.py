"""The order of a run's ended trials, and whose weights are kept."""

import bisect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainables.metrics import Metric
from trainables.models.selection import num_parameters

__all__ = ["Ranking", "counts", "smallest"]


def counts(row: Mapping[str, Any]) -> bool:
    """Whether the trial of `row` may be chosen: it has a value and did not fail."""
    return row["value"] is not None and row["status"] != "failed"


def smallest(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of the `rows` of trials that tie, the earliest first, the one whose network has the fewest parameters."""
    if len({row["model"] for row in rows}) == 1:
        return rows[0]
    return min(rows, key=lambda row: num_parameters(str(row["model"])))


class Ranking:
    """Trials that have a value and did not fail, the best first; of equal ones the earlier."""

    def __init__(self, metric: Metric, mean: Callable[[Mapping[str, Any]], float | None]) -> None:
        """Rank by the loss that `mean` says of a row, where it says one, else by the value of `metric`."""
        self._metric, self._mean = metric, mean
        self._ordered: list[tuple[float, int, str]] = []
        self._first: dict[str, tuple[float, int, str]] = {}
        self._rows: dict[str, Mapping[str, Any]] = {}

    def enter(self, row: Mapping[str, Any], combination: str) -> None:
        """Put the trial of `row`, as `trials.parquet` has it, in its place."""
        if not counts(row):
            return
        trial_id = str(row["trial_id"])
        mean = self._mean(row)
        cost = self._metric.cost(float(row["value"])) if mean is None else mean
        place = (cost, int(row["number"]), trial_id)
        bisect.insort(self._ordered, place)
        self._rows[trial_id] = row
        self._first[combination] = min(place, self._first.get(combination, place))

    def copy(self) -> "Ranking":
        """Another with the same trials."""
        other = Ranking(self._metric, self._mean)
        other._ordered, other._first, other._rows = list(self._ordered), dict(self._first), dict(self._rows)
        return other

    def best(self) -> str | None:
        """The best trial; of equal ones that of the smallest network."""
        if not self._ordered:
            return None
        lowest = self._ordered[0][0]
        ties = itertools.takewhile(lambda place: place[0] == lowest, self._ordered)
        return str(smallest([self._rows[trial_id] for _, _, trial_id in ties])["trial_id"])

    def ordered(self) -> list[str]:
        """All trials, the best first."""
        return [trial_id for _, _, trial_id in self._ordered]

    def kept(self, top: int) -> set[str]:
        """Trials whose weights stay: the best of every combination, and the `top` best of all."""
        return {trial_id for _, _, trial_id in (*self._first.values(), *self._ordered[:top])}
