"""What finalists cost to run, and which of them no other beats in both score and speed."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from tuner.evaluation.comparison.running_cost import RunningCost, of_classifier

if TYPE_CHECKING:
    import pandas as pd

    from tuner.evaluation.comparison.evidence import Evidence

__all__ = ["pareto_front", "with_running_costs"]


def with_running_costs(table: "pd.DataFrame", evidence: "Evidence") -> "pd.DataFrame":
    """The table with `milliseconds`, `megabytes`, `parameters`, `gpu_images_per_second` and `pareto`.

    Measured here in fp32 with random weights, on which time does not depend; an ensemble costs what its members cost.
    `pareto` marks the finalists that no other beats in both the searched metric and the time of an image.
    """
    models = {one.key: one.config.model for one in evidence.finalists}
    models |= {key: model for one in evidence.finalists for key, model in (one.member_models or {}).items()}
    image_size, classes = int(evidence.runs[0].record["image_size"]), len(evidence.classes)
    costs = {
        one.key: _together(
            [_measured(models[key], classes, image_size) for key in one.members or {one.key: 1}]
        )
        for one in evidence.finalists
    }
    columns = ("milliseconds", "megabytes", "parameters", "gpu_images_per_second")
    found = table.assign(**{name: [getattr(costs[key], name) for key in table["key"]] for name in columns})
    found["gpu_images_per_second"] = found["gpu_images_per_second"].astype("float64")
    losses = np.array([evidence.metric.cost(value) for value in table["test_value"]])
    return found.assign(pareto=pareto_front(losses, found["milliseconds"].to_numpy()))


def pareto_front(losses: "np.ndarray", times: "np.ndarray") -> "np.ndarray":
    """Whether each pair of a loss and a time [n] is beaten by none that is as good in both and better in one.

    >>> pareto_front(np.array([0.1, 0.2, 0.3]), np.array([9.0, 5.0, 7.0])).tolist()
    [True, True, False]
    """
    as_good = (losses[:, None] <= losses) & (times[:, None] <= times)
    better = (losses[:, None] < losses) | (times[:, None] < times)
    return np.asarray(~(as_good & better).any(axis=0))


@functools.lru_cache(maxsize=64)
def _measured(model: str, classes: int, image_size: int) -> RunningCost:
    from trainables.models import create

    return of_classifier(create(model, classes), image_size)


def _together(costs: list[RunningCost]) -> RunningCost:
    """What models cost that answer one after the other."""
    speeds = [cost.gpu_images_per_second for cost in costs]
    known = [speed for speed in speeds if speed is not None]
    return RunningCost(
        milliseconds=sum(cost.milliseconds for cost in costs),
        megabytes=sum(cost.megabytes for cost in costs),
        parameters=sum(cost.parameters for cost in costs),
        gpu_images_per_second=1 / sum(1 / speed for speed in known) if len(known) == len(speeds) else None,
    )
