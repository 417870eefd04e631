"""How often paired tests call equal models different, and how often they see a difference: `coverage.py --tests`."""

import math

import numpy as np
from simulated_answers import TEMPERATURE, Design, Sample, simulate, skills

from trainables.metrics import METRICS, Metric
from tuner.evaluation.metric_tests import metric_test

DESIGNS = (
    Design((40, 40, 40), (0.95, 0.92, 0.8), 0.6),
    Design((25, 25, 4), (0.95, 0.92, 0.8), 0.6),
    Design((12, 12, 12), (0.9, 0.9, 0.9), 0.6),
    Design((50, 50, 8), (0.9, 0.95, 0.85), 0.0, (1,)),
    Design((12, 12, 3), (0.95, 0.9, 0.85), 0.6),
    Design((6, 6, 6), (0.85, 0.9, 0.98), 0.6),
)
GAIN = 0.25
"""What the better of two models adds to the true class's logit before the temperature."""

BLUNT = -0.2
"""The same of a model that is right less often, but whose log loss is made equal by a temperature of its own."""

TIMES = 300
"""Of the groups of a design, the huge test set on which two models are made equal and true differences are read."""

LEVEL = 0.05


def print_tests(draws: int) -> None:
    """One row a design and a metric."""
    head = (
        "design",
        "metric",
        "alarms at 5 %, equal models",
        "alarms, equal log loss otherwise unlike",
        "seen at 5 %, one better",
        "interval of that difference holds it, %",
    )
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for number, design in enumerate(DESIGNS):
        for row in measure(design, draws, number):
            print("| " + " | ".join(row) + " |", flush=True)


def measure(design: Design, draws: int, number: int) -> list[list[str]]:
    """The rows of one design."""
    [accuracies] = design.profiles
    skill, rng = skills(accuracies), np.random.default_rng([2, number])
    sharp = _temperature_of_equal_loss(design, skill, rng)
    huge = _pair(design, skill, rng, gains=[GAIN, 0.0], times=TIMES)
    truth = {name: _difference(metric, huge) for name, metric in METRICS.items()}
    alarms, unlike, seen, held = (dict.fromkeys(METRICS, 0) for _ in range(4))
    for draw in range(draws):
        equal = _pair(design, skill, rng)
        other = None
        if sharp is not None:
            other = _pair(design, skill, rng, gains=[0.0, BLUNT], temperatures=[TEMPERATURE, sharp])
        better = _pair(design, skill, rng, gains=[GAIN, 0.0])
        for name, metric in METRICS.items():
            alarms[name] += _test(metric, equal, draw).p_value <= LEVEL
            if name == "val_loss" and other is not None:
                unlike[name] += _test(metric, other, draw).p_value <= LEVEL
            found = _test(metric, better, draw)
            seen[name] += found.p_value <= LEVEL and metric.better(found.difference, 0.0)
            held[name] += found.interval.low <= truth[name] <= found.interval.high
    return [
        [
            design.name if place == 0 else "",
            metric.title,
            share(alarms[name], draws),
            share(unlike[name], draws) if name == "val_loss" and sharp is not None else "",
            share(seen[name], draws),
            share(held[name], draws),
        ]
        for place, (name, metric) in enumerate(METRICS.items())
    ]


def share(count: float, draws: int) -> str:
    """A share of draws in percent with its standard error."""
    part = count / draws
    return f"{100 * part:.1f} ± {100 * math.sqrt(part * (1 - part) / draws):.1f}"


def _pair(design: Design, skill: np.ndarray, rng: np.random.Generator, **how: object) -> list[Sample]:
    return simulate(design, skill, rng, models=2, **how)  # type: ignore[arg-type]


def _test(metric: Metric, pair: list[Sample], seed: int):  # type: ignore[no-untyped-def]
    first, second = (one.answers(positive=0) for one in pair)
    return metric_test(metric, first, second, pair[0].groups, seed=seed)


def _difference(metric: Metric, pair: list[Sample]) -> float:
    first, second = (metric.compute(one.answers(positive=0)) for one in pair)
    return first - second


def _temperature_of_equal_loss(design: Design, skill: np.ndarray, rng: np.random.Generator) -> float | None:
    """The temperature at which the blunt model has the log loss of the other; None if it never has."""
    first, second = _pair(design, skill, rng, gains=[0.0, BLUNT], times=TIMES)
    loss = METRICS["val_loss"].compute
    wanted, raw = loss(first.answers()), second.logits / TEMPERATURE

    def at(temperature: float) -> float:
        return loss(Sample(second.labels, temperature * raw, second.groups).answers())

    low, high = min(np.linspace(0.4, TEMPERATURE, 33), key=at), TEMPERATURE
    if not at(low) < wanted < at(high):
        return None
    for _ in range(30):
        middle = (low + high) / 2
        if at(middle) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
