"""Metrics: what every epoch measures on the validation images, one metric a file, by name. No torch at import.

A metric file registers a function of `Answers` that returns a number, or one number an image whose mean counts; the
first line of the function's docstring is what a listing says of it. All that chooses, compares, offers or writes
metrics reads `METRICS`. NumPy is imported where it is used, since every command reads this.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from trainables.errors import UnknownName
from trainables.metrics.answers import Answers
from trainables.metrics.metric import Metric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["DEFAULT", "METRICS", "Answers", "Metric", "canonical", "measure", "register", "register_mean"]

DEFAULT = "val_loss"

PerImage = Callable[[Answers], "npt.NDArray[np.float64]"]
Exchanged = Callable[[Answers, Answers], "npt.NDArray[np.float64]"]

_SUPPORT = {"answers", "metric"}
_FOUND: dict[str, Metric] = {}


def register(
    name: str,
    direction: Literal["minimize", "maximize"],
    *,
    order: int,
    smooth: bool = True,
    needs_positive: bool = False,
    exchanged: Exchanged | None = None,
) -> Callable[[Callable[[Answers], float]], Callable[[Answers], float]]:
    """A decorator that registers a function as what computes the metric `name`, and returns the function.

    Metrics are shown in the order of `order`. `smooth` says that leaving one group out moves the metric in proportion
    to that group's part in it, as it does means and not quantiles. `needs_positive` says that it is of one class.
    `exchanged` is that of `Metric`; without it the metric is computed anew for every exchange of a paired test.
    """

    def remember(compute: Callable[[Answers], float]) -> Callable[[Answers], float]:
        text = (inspect.getdoc(compute) or "").partition("\n")[0]
        _FOUND[name] = Metric(
            name, direction, compute, None, text, order, smooth, needs_positive, exchanged=exchanged
        )
        return compute

    return remember


def register_mean(
    name: str, direction: Literal["minimize", "maximize"], *, order: int
) -> Callable[[PerImage], PerImage]:
    """The same for a function that returns one value an image [n], whose mean is the metric."""

    def remember(values: PerImage) -> PerImage:
        text = (inspect.getdoc(values) or "").partition("\n")[0]
        compute = functools.partial(_mean, values)
        _FOUND[name] = Metric(name, direction, compute, values, text, order)
        return values

    return remember


def canonical(name: str) -> str:
    """The metric's name for what a person writes; raises UnknownName for a metric that nobody has.

    >>> canonical("val_sensitivity@95")
    'val_sensitivity_at_95'
    """
    found = str(name).replace("@", "_at_")
    if found not in METRICS:
        raise UnknownName.of("metric", str(name), METRICS)
    return found


def measure(answers: Answers) -> dict[str, float]:
    """Every metric of `answers` by name; NaN where the answers do not tell it."""
    return {name: metric.compute(answers) for name, metric in METRICS.items()}


def _mean(values: PerImage, answers: Answers) -> float:
    return float(values(answers).mean())


def _discover() -> Mapping[str, Metric]:
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _SUPPORT:
            importlib.import_module(f"{__name__}.{module.name}")
    return {metric.name: metric for metric in sorted(_FOUND.values(), key=lambda metric: metric.order)}


METRICS: Mapping[str, Metric] = _discover()
"""The metrics that a search may optimise, in the order in which they are shown."""
