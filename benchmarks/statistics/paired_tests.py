"""How often paired tests call equal models different, and how often they see a difference: `coverage.py --tests`."""

import math

import numpy as np

from benchmarks.statistics.simulated_answers import TEMPERATURE, Design, Sample, simulate, skills
from trainables.metrics import METRICS, Metric
from tuner.statistics.metric_tests import metric_test

DESIGNS = (
    Design((40, 40, 40), (0.95, 0.92, 0.8), 0.6),
    Design((25, 25, 4), (0.95, 0.92, 0.8), 0.6),
    Design((12, 12, 12), (0.9, 0.9, 0.9), 0.6),
    Design((50, 50, 8), (0.9, 0.95, 0.85), 0.0, (1,)),
    Design((12, 12, 3), (0.95, 0.9, 0.85), 0.6),
    Design((6, 6, 6), (0.85, 0.9, 0.98), 0.6),
)
"""Those of which the intervals are measured, too."""

FEW = (
    Design((25, 25, 1), (0.9, 0.9, 0.9), 0.6),
    Design((10,) * 5 + (1,), (0.9,) * 6, 0.6),
    Design((12, 12, 1), (0.9, 0.9, 0.9), 0.0, (1,)),
    Design((25, 25, 2), (0.9, 0.9, 0.9), 0.6),
    Design((6, 6, 2), (0.95, 0.92, 0.8), 0.6),
    Design((25, 25, 3), (0.9, 0.9, 0.9), 0.6),
    Design((24, 24, 4), (0.9, 0.95, 0.85), 0.6, (2, 6)),
    Design((30, 3), (0.9, 0.85), 0.6, (1, 3, 9)),
)
"""A class of one, two or three groups, and groups of unequal size: what only tests are measured on."""

FEW_GROUPS = 3
"""The rarest class is the one of interest where it has at most so many groups, otherwise the first."""
GAIN = 0.25
"""What the better of two models adds to the true class's logit before the temperature."""

BLUNT = -0.1
"""The same of a model that is right less often, but whose log loss equals that of one that is too sure of itself."""

TIMES = 300
"""Of the groups of a design, the huge test set on which two models are made equal and true differences are read."""

LEVEL = 0.05

SLOW_SHARE = 5
"""A metric that is tested by exchanging whole groups takes as many times longer, and has as many times fewer draws."""


def print_tests(draws: int, first: int = 1, designs: int | None = None) -> None:
    """One row a design and a metric, from the design number `first` on."""
    head = (
        "design",
        "metric",
        "alarms at 5 %, equal models",
        "alarms, equal log loss otherwise unlike",
        "seen at 5 %, one better",
        "interval of that difference holds it, %",
        "its width",
    )
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for number, design in list(enumerate((*DESIGNS, *FEW)))[first - 1 : designs]:
        for row in measure(design, draws, number):
            print("| " + " | ".join(row) + " |", flush=True)


def measure(design: Design, draws: int, number: int) -> list[list[str]]:
    """The rows of one design."""
    [accuracies] = design.profiles
    skill, rng = skills(accuracies), np.random.default_rng([2, number])
    positive = _positive(design)
    sharp = _temperature_of_equal_loss(design, skill, rng)
    huge = _pair(design, skill, rng, gains=[GAIN, 0.0], times=TIMES)
    truth = {name: _difference(metric, huge, positive) for name, metric in METRICS.items()}
    alarms, unlike, seen, held = (dict.fromkeys(METRICS, 0) for _ in range(4))
    widths: dict[str, list[float]] = {name: [] for name in METRICS}
    for draw in range(draws):
        equal = _pair(design, skill, rng)
        other = _pair(design, skill, rng, gains=[0.0, BLUNT], temperatures=[sharp, TEMPERATURE])
        better = _pair(design, skill, rng, gains=[GAIN, 0.0])
        for name, metric in METRICS.items():
            if draw >= _draws_of(metric, draws):
                continue
            alarms[name] += _test(metric, equal, draw, positive).p_value <= LEVEL
            if name == "val_loss":
                unlike[name] += _test(metric, other, draw, positive).p_value <= LEVEL
            found = _test(metric, better, draw, positive)
            seen[name] += found.p_value <= LEVEL and metric.better(found.difference, 0.0)
            held[name] += found.interval.low <= truth[name] <= found.interval.high
            widths[name].append(found.interval.high - found.interval.low)
    return [
        [
            design.name if place == 0 else "",
            metric.title,
            share(alarms[name], _draws_of(metric, draws)),
            share(unlike[name], draws) if name == "val_loss" else "",
            share(seen[name], _draws_of(metric, draws)),
            *_of_interval(held[name], widths[name]),
        ]
        for place, (name, metric) in enumerate(METRICS.items())
    ]


def _of_interval(held: int, widths: list[float]) -> list[str]:
    """How often it holds the truth, and its width; nothing where a class has a single group."""
    if np.isnan(widths).all():
        return ["none given", ""]
    return [share(held, len(widths)), f"{np.mean(widths):.3f}"]


def _positive(design: Design) -> int:
    """The class that metrics of one class are of."""
    least = min(design.groups)
    return design.groups.index(least) if least <= FEW_GROUPS else 0


def _draws_of(metric: Metric, draws: int) -> int:
    return draws if metric.smooth else max(1, draws // SLOW_SHARE)


def share(count: float, draws: int) -> str:
    """A share of draws in percent with its standard error."""
    part = count / draws
    return f"{100 * part:.1f} ± {100 * math.sqrt(part * (1 - part) / draws):.1f}"


def _pair(design: Design, skill: np.ndarray, rng: np.random.Generator, **how: object) -> list[Sample]:
    return simulate(design, skill, rng, models=2, **how)  # type: ignore[arg-type]


def _test(metric: Metric, pair: list[Sample], seed: int, positive: int):  # type: ignore[no-untyped-def]
    first, second = (one.answers(positive) for one in pair)
    return metric_test(metric, first, second, pair[0].groups, seed=seed)


def _difference(metric: Metric, pair: list[Sample], positive: int) -> float:
    first, second = (metric.compute(one.answers(positive)) for one in pair)
    return first - second


def _temperature_of_equal_loss(design: Design, skill: np.ndarray, rng: np.random.Generator) -> float:
    """The temperature at which the sharp model is so sure of itself that its log loss is that of the blunt one."""
    sharp, blunt = _pair(design, skill, rng, gains=[0.0, BLUNT], times=TIMES)
    loss = METRICS["val_loss"].compute
    wanted, raw = loss(blunt.answers()), sharp.logits / TEMPERATURE

    def at(temperature: float) -> float:
        return loss(Sample(sharp.labels, temperature * raw, sharp.groups).answers())

    low, high = TEMPERATURE, 2 * TEMPERATURE
    while at(high) < wanted:
        low, high = high, 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        if at(middle) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
