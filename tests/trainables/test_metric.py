import math
from dataclasses import fields

import pytest

from trainables.config import METRICS, EpochMetrics, Metric

LOSS, SCORE = Metric("a_loss", "minimize"), Metric("a_score", "maximize")


def test_a_metric_knows_what_is_better():
    assert LOSS.better(0.1, 0.2)
    assert SCORE.better(0.2, 0.1)
    assert not LOSS.better(0.1, 0.1)
    assert not SCORE.better(0.1, 0.1)
    assert (LOSS.mode, SCORE.mode) == ("min", "max")


def test_any_value_is_better_than_the_worst_and_nan_never_is():
    for metric in (LOSS, SCORE):
        assert metric.better(-1e300, metric.worst)
        assert metric.better(1e300, metric.worst)
        assert not metric.better(math.nan, metric.worst)


def test_values_are_ordered_by_their_cost():
    values = [0.3, 0.1, 0.2]
    assert min(values, key=LOSS.cost) == LOSS.best(values) == 0.1
    assert min(values, key=SCORE.cost) == SCORE.best(values) == 0.3
    assert [SCORE.cost(SCORE.cost(value)) for value in values] == values


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_measured_each_epoch(name):
    assert METRICS[name].name == name
    assert name in {field.name for field in fields(EpochMetrics)}
