"""What is known of a metric."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trainables.metrics.answers import Answers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Metric"]


TITLES = {
    "loss": "log loss",
    "macro_f1": "macro-F1",
    "auroc": "AUROC",
    "sensitivity_at_95": "sensitivity at 95 %",
}
"""Names for people that differ from the metric's own."""


def _unknown(answers: Answers) -> float:
    """The value of a metric that nothing computes."""
    return math.nan


@dataclass(frozen=True)
class Metric:
    """A number of every epoch that a search may optimise: its name, its direction, and what computes it.

    `values` gives one value an image [n] where the metric is their mean. `text` says in a line what it is.
    `exchanged` gives what each image [n] adds to the value of a first model minus that of a second one. The parts add
    up to the difference, and a part turns its sign where the two models exchange their answers to the image.
    """

    name: str
    direction: Literal["minimize", "maximize"]
    compute: Callable[[Answers], float] = _unknown
    values: "Callable[[Answers], npt.NDArray[np.float64]] | None" = None
    text: str = ""
    order: int = 0
    smooth: bool = True
    needs_positive: bool = False
    largest: float | None = None
    exchanged: "Callable[[Answers, Answers], npt.NDArray[np.float64]] | None" = None

    @property
    def span(self) -> float:
        """By how much two values can differ at most: 1 for a share, endlessly for a loss, unless `largest` says."""
        return self.largest if self.largest is not None else math.inf if self.minimised else 1.0

    @property
    def stem(self) -> str:
        """The name without the part of the data on which it is measured: `loss` of `val_loss`."""
        return self.name.removeprefix("val_")

    @property
    def title(self) -> str:
        """The name for people."""
        return TITLES.get(self.stem, self.stem.replace("_", " "))

    @property
    def minimised(self) -> bool:
        """Whether smaller is better."""
        return self.direction == "minimize"

    @property
    def mode(self) -> Literal["min", "max"]:
        """Ray's word for the direction."""
        return "min" if self.minimised else "max"

    @property
    def worst(self) -> float:
        """What every other value is better than."""
        return math.inf if self.minimised else -math.inf

    def cost(self, value: float) -> float:
        """`value` as something of which less is better, to sort by; the cost of a cost is the value again."""
        return value if self.minimised else -value

    def place(self, row: Mapping[str, Any]) -> tuple[float, float]:
        """What the trial of `row` of `trials.parquet` is sorted by: its estimate where it has one, then its value.

        What is missing is infinite, and both for a failed one.
        """
        if row["status"] == "failed":
            return math.inf, math.inf
        value, estimate = (
            math.inf if number is None or number != number else self.cost(float(number))
            for number in (row["value"], row.get("estimate"))
        )
        return (value if estimate == math.inf else estimate), value

    def better(self, value: float, than: float) -> bool:
        """Whether `value` is better than the value `than`; NaN never is."""
        return self.cost(value) < self.cost(than)

    def best(self, values: Iterable[float]) -> float:
        """The best of `values`."""
        return min(values, key=self.cost)
