"""What folds over all images estimate once a configuration was chosen with some of them: `coverage.py --selection`.

Configurations of different quality are simulated. Each is judged once on validation groups, a tenth of all, and the
best is chosen, as a search does. Then the chosen one answers all groups out of fold: these answers share half of their
noise with those on which it was chosen, being of the same images. The truth is the chosen configuration's score on a
huge test set. Beside it: a single test set of another tenth of the groups, on which nothing was chosen, and the folds
without any choice.
"""

import numpy as np

from benchmarks.statistics.paired_tests import share
from benchmarks.statistics.simulated_answers import TEMPERATURE, Design, Sample, centre, simulate, skills
from trainables.metrics import METRICS
from tuner.statistics.means import mean_interval
from tuner.statistics.scores import score_intervals

DESIGN = Design((250, 250, 38), (0.95, 0.93, 0.9), 0.6)
"""As many leaves as the potato images have."""

CONFIGURATIONS = (1, 10, 40)
SPREAD = 0.15
"""Standard deviation of the configurations' quality, in units of the true class's logit."""

TENTH = 10
TIMES = 40


def print_selection(draws: int) -> None:
    """One row a number of configurations and a score."""
    head = (
        *("chosen among", "score", "folds: optimism", "folds hold the truth, %", "width"),
        *("one test set holds it, %", "width", "ratio of widths"),
    )
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for count in CONFIGURATIONS:
        for row in measure(count, draws):
            print("| " + " | ".join(row) + " |", flush=True)


def measure(count: int, draws: int) -> list[list[str]]:
    """The rows for a choice among `count` configurations."""
    rng, skill = np.random.default_rng([3, count]), skills(DESIGN.accuracies or ())
    found: dict[str, list[list[float]]] = {"accuracy": [], "log loss": []}
    for draw in range(draws):
        gains = rng.normal(0, SPREAD, count)
        chosen, folds, test = _search(gains, skill, rng)
        [huge] = simulate(DESIGN, skill, rng, times=TIMES, gains=[float(gains[chosen])])
        for name, ends in (("accuracy", _accuracy), ("log loss", _loss)):
            truth, *_ = ends(huge, draw)
            value, low, high = ends(folds, draw)
            _, test_low, test_high = ends(test, draw)
            row = [value - truth, low <= truth <= high, high - low, test_low <= truth <= test_high]
            found[name].append([*row, test_high - test_low])
    return [_row(count, name, np.array(rows, dtype=float)) for name, rows in found.items()]


def _row(count: int, name: str, rows: np.ndarray) -> list[str]:
    optimism, inside, width, test_inside, test_width = rows.mean(axis=0)
    error, draws = rows[:, 0].std(ddof=1) / np.sqrt(len(rows)), len(rows)
    return [
        str(count),
        name,
        f"{optimism:+.4f} ± {error:.4f}",
        share(inside * draws, draws),
        f"{width:.3f}",
        share(test_inside * draws, draws),
        f"{test_width:.3f}",
        f"{width / test_width:.2f}",
    ]


def _search(gains: np.ndarray, skill: np.ndarray, rng: np.random.Generator) -> tuple[int, Sample, Sample]:
    """The configuration with the lowest validation loss; its answers out of fold; its answers to a test set."""
    samples = simulate(
        DESIGN, skill, rng, models=max(2, len(gains)), gains=[*map(float, gains), 0.0][: max(2, len(gains))]
    )
    groups = samples[0].groups
    val = groups % TENTH == 0
    losses = [METRICS["val_loss"].compute(one.answers().only(val)) for one in samples[: len(gains)]]
    chosen = int(np.argmin(losses))
    # Trained again on other folds, the configuration keeps what its images and its quality make, not its luck.
    again = simulate(DESIGN, skill, rng, gains=[float(gains[chosen])])[0]
    shared = (samples[chosen].logits + again.logits) / 2
    middle = TEMPERATURE * centre(again.labels, skill, float(gains[chosen]))
    folds = Sample(again.labels, middle + (shared - middle) * np.sqrt(2), groups)
    test = groups % TENTH == 1
    return chosen, folds, Sample(folds.labels[test], folds.logits[test], groups[test])


def _accuracy(sample: Sample, seed: int) -> tuple[float, float, float]:
    names = [str(group) for group in sample.groups]
    value = float((sample.logits.argmax(axis=1) == sample.labels).mean())
    if len(sample.labels) > 10_000:
        return value, value, value
    found = score_intervals(sample.labels, sample.logits, names, resamples=500, seed=seed).accuracy
    return value, found.low, found.high


def _loss(sample: Sample, seed: int) -> tuple[float, float, float]:
    losses = METRICS["val_loss"].values
    assert losses is not None
    values = losses(sample.answers())
    found = mean_interval(values, sample.groups)
    assert found is not None
    return float(values.mean()), found.low, found.high
