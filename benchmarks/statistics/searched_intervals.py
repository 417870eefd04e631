"""How often the intervals of searched metrics and of costs hold the truth: `coverage.py --searched`.

Accuracy, balanced accuracy and macro-F1 have a table of their own, `coverage.py` alone. The peer of the log loss's
interval is Student's over groups; it is also that of the costs.
"""

import numpy as np

from benchmarks.statistics.paired_tests import DESIGNS, share
from benchmarks.statistics.simulated_answers import Design, Sample, simulate, skills
from trainables.metrics import METRICS, Answers, Metric
from tuner.evaluation.comparison.judging import cost_metric
from tuner.statistics.intervals import Interval
from tuner.statistics.means import cost_interval, half_width
from tuner.statistics.metric_intervals import metric_interval
from tuner.statistics.scores import ScoreIntervals, score_intervals

COSTS = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 20.0], [0.5, 2.0, 0.0]])
"""Of naming a class [true, named]: one mistake is twenty times as dear as another."""

TIMES = 300
"""Of the groups of a design, the huge test set on which the truth is read."""

SLOW_SHARE = 5
"""A metric that is no sum over groups takes as many times longer, and has as many times fewer draws."""


def print_searched(draws: int) -> None:
    """One row a design and a metric."""
    head = ("design", "metric", "holds the truth, %", "width", "Student's over groups holds it, %", "width")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    cost = cost_metric(COSTS)
    metrics = [METRICS[name] for name in ("val_loss", "val_auroc", "val_sensitivity_at_95")] + [cost]
    for number, design in enumerate(DESIGNS):
        [accuracies] = design.profiles
        skill, rng = skills(accuracies), np.random.default_rng([4, number])
        huge = simulate(design, skill, rng, times=TIMES)[0].answers(positive=0)
        for place, metric in enumerate(metrics):
            truth = metric.compute(huge)
            row = measure(design, skill, metric, truth, draws, rng)
            print(
                "| " + " | ".join([design.name if place == 0 else "", metric.title, *row]) + " |", flush=True
            )


def measure(
    design: Design, skill: np.ndarray, metric: Metric, truth: float, draws: int, rng: np.random.Generator
) -> list[str]:
    """Coverage and width of tuner's interval and of Student's."""
    count = draws if metric.smooth else max(1, draws // SLOW_SHARE)
    ours, students = [], []
    for draw in range(count):
        [sample] = simulate(design, skill, rng)
        answers = sample.answers(positive=0)
        ours.append(_ours(metric, answers, sample, draw))
        if metric.values is not None:
            students.append(_students(metric.values(answers), sample.groups))
    return [*_cells(ours, truth), *(_cells(students, truth) if students else ["", ""])]


def _ours(metric: Metric, answers: Answers, sample: Sample, draw: int) -> Interval:
    if metric.name == "cost" and metric.values is not None:
        return cost_interval(metric.values(answers), COSTS, sample.groups)
    known: ScoreIntervals = score_intervals(
        sample.labels, sample.logits, [str(group) for group in sample.groups], resamples=2, seed=draw
    )
    found = metric_interval(metric, answers, sample.groups, known, seed=draw)
    assert found is not None
    return found


def _students(values: np.ndarray, groups: np.ndarray) -> Interval:
    mean, half = float(values.mean()), half_width(values, groups)
    assert half is not None
    return Interval(mean - half, mean + half)


def _cells(found: list[Interval], truth: float) -> list[str]:
    inside = sum(one.low <= truth <= one.high for one in found)
    width = float(np.mean([one.high - one.low for one in found]))
    return [share(inside, len(found)), f"{width:.3f}"]
