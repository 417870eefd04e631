"""How often 95 % intervals hold the truth, by simulation; tuner's beside the percentile group bootstrap's.

    python -m benchmarks.statistics.coverage            python -m benchmarks.statistics.coverage --draws 200
    python -m benchmarks.statistics.coverage --tests    python -m benchmarks.statistics.coverage --selection
    python -m benchmarks.statistics.coverage --searched

Each design says how many groups of how many images a class has in the test set, how right a model is on each class,
and how much the images of a group hang together. Logits are the class's own skill plus noise, of which a share is
common to the group; so nothing here is the law that an interval assumes. The truth is the score of a huge test set of
the same proportions. One core, some minutes; the seeds are fixed.
"""

import argparse
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.statistics.paired_tests import print_tests
from benchmarks.statistics.searched_intervals import print_searched
from benchmarks.statistics.selected_folds import print_selection
from benchmarks.statistics.simulated_answers import Design, Sample, simulate, skills
from tuner.runs.hardware import hardware, usable_cores
from tuner.statistics.log_loss import log_losses
from tuner.statistics.paired import paired_test
from tuner.statistics.scores import score_intervals, softmax

METRICS = (
    "accuracy",
    "balanced accuracy",
    "macro-F1",
    "AUC of the last class",
    "log loss",
    "calibration error",
)
DRAWS, RESAMPLES, BINS = 1000, 500, 15
POPULATION = 300_000
"""Images of the huge test set, about."""


EIGHT = (0.8, 0.98, 0.9, 0.95, 0.85, 0.92, 0.9, 0.97)
DESIGNS = (
    Design((40, 40, 40), (0.95, 0.92, 0.8), 0.6),
    Design((12, 12, 12), (0.9, 0.9, 0.9), 0.6),
    Design((6, 6, 6), (0.85, 0.9, 0.98), 0.6),
    Design((25, 25, 4), (0.9, 0.9, 0.9), 0.6),
    Design((25, 25, 4), (0.95, 0.92, 0.8), 0.8),
    Design((25, 25, 4), (0.85, 0.9, 0.98), 0.4),
    Design((24, 24, 4), (0.9, 0.95, 0.85), 0.6, (2, 6)),
    Design((50, 50, 8), (0.9, 0.95, 0.85), 0.0, (1,)),
    Design((25, 25, 4), None, 0.6),
    Design((12, 12, 3), None, 0.6),
    Design((12, 12, 3), (0.95, 0.9, 0.85), 0.6),
    Design((8,) * 6 + (2, 2), EIGHT, 0.6),
    Design((8,) * 6 + (2, 2), None, 0.6),
    Design((3,) * 12, tuple(np.linspace(0.8, 0.98, 12).round(3)), 0.6),
    Design((6, 6, 2), None, 0.6),
    Design((6, 6, 2), (0.9, 0.9, 0.9), 0.4),
    Design((6, 6, 2), (0.95, 0.92, 0.8), 0.8),
    Design((6, 6, 2), (0.85, 0.9, 0.98), 0.6),
    Design((6, 6, 1), (0.9, 0.9, 0.9), 0.6),
    Design((25, 25, 4), (0.99, 0.99, 0.8), 0.6),
)


def percentile_bootstrap(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """The peer's 95 % intervals of METRICS, [metrics, 2]: whole groups drawn again within their classes."""
    labels, groups = sample.labels, sample.groups
    count, classes = int(groups.max()) + 1, sample.logits.shape[1]
    kinds = labels[np.unique(groups, return_index=True)[1]]
    weights = np.zeros((RESAMPLES, count))
    for code in range(classes):
        members = np.flatnonzero(kinds == code)
        weights[:, members] = rng.multinomial(
            len(members), np.full(len(members), 1 / len(members)), RESAMPLES
        )
    drawn = np.stack(_resampled(sample, weights), axis=1)
    return np.quantile(drawn, [0.025, 0.975], axis=0).T


def _resampled(sample: Sample, weights: np.ndarray) -> list[np.ndarray]:
    labels, groups, classes = sample.labels, sample.groups, sample.logits.shape[1]
    chances, count = softmax(sample.logits), weights.shape[1]
    predicted, sure = chances.argmax(axis=1), chances.max(axis=1)
    kinds = np.eye(classes)

    def totals(rows: np.ndarray) -> np.ndarray:
        sums = np.zeros((count, rows.shape[1]))
        np.add.at(sums, groups, rows)
        return weights @ sums

    real, named = totals(kinds[labels]), totals(kinds[predicted])
    hits = totals(kinds[labels] * kinds[predicted])
    images = real.sum(axis=1)
    bins = np.eye(BINS)[np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)]
    gaps = totals(bins * (sure - (predicted == labels))[:, None])
    losses = totals(log_losses(sample.logits, labels)[:, None])[:, 0]
    return [
        hits.sum(axis=1) / images,
        (hits / real).mean(axis=1),
        (2 * hits / (real + named)).mean(axis=1),
        _areas(sample, chances[:, -1], weights),
        losses / images,
        np.abs(gaps).sum(axis=1) / images,
    ]


def _areas(sample: Sample, chance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    yes = sample.labels == sample.logits.shape[1] - 1
    each = weights[:, sample.groups]
    above = (chance[yes][:, None] > chance[~yes]) + 0.5 * (chance[yes][:, None] == chance[~yes])
    won = np.einsum("ri,ij,rj->r", each[:, yes], above, each[:, ~yes], optimize=True)
    return won / (each[:, yes].sum(axis=1) * each[:, ~yes].sum(axis=1))


def measure(design: Design, draws: int, seed: int) -> list[list[str]]:
    """The rows of one design: METRICS, then how often the paired test calls equal models different."""
    per_test = sum(int(np.resize(design.images, count).sum()) for count in design.groups)
    rng = np.random.default_rng([1, seed])
    truths, found, alarms = [], [], 0
    profiles = design.profiles[:draws]
    for place, accuracies in enumerate(profiles):
        skill = skills(accuracies)
        many = simulate(design, skill, rng, times=2 * max(1, POPULATION // per_test // 2))[0]
        truth = many.scores()
        for number in range(place, draws, len(profiles)):
            first, second = simulate(design, skill, rng, models=2)
            truths.append(truth)
            found.append([_ours(first, number), percentile_bootstrap(first, rng)])
            right = [one.logits.argmax(axis=1) == one.labels for one in (first, second)]
            alarms += paired_test(*right, first.groups, resamples=999, seed=number).p_value <= 0.05
    ends, truth = np.stack(found, axis=1), np.array(truths)
    rows = []
    for metric, name in enumerate(METRICS):
        cells = [cell for part in ends for cell in _cells(part[:, metric], truth[:, metric], name)]
        rows.append([design.name if metric == 0 else "", name, *cells])
    return [*rows, ["", "paired test: alarms at 5 %", _share(alarms, draws), "", "", ""]]


def _ours(sample: Sample, seed: int) -> np.ndarray:
    names = [str(number) for number in sample.groups]
    found = score_intervals(sample.labels, sample.logits, names, resamples=RESAMPLES, seed=seed)
    parts = (found.accuracy, found.balanced_accuracy, found.macro_f1, found.auc[-1], None, None)
    return np.array([(np.nan, np.nan) if one is None else (one.low, one.high) for one in parts])


def _cells(ends: np.ndarray, truth: np.ndarray, name: str) -> list[str]:
    if np.isnan(ends).all():
        return ["not here" if name == "log loss" else "none given", ""]
    inside = int(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).sum())
    return [_share(inside, len(ends)), f"{np.nanmean(ends[:, 1] - ends[:, 0]):.3f}"]


def _share(count: int, draws: int) -> str:
    share = count / draws
    return f"{100 * share:.1f} ± {100 * math.sqrt(share * (1 - share) / draws):.1f}"


def origin(asked: str) -> str:
    """The command, the commit and the machine, in two lines."""
    place = Path(__file__).parent
    found = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    commit = found.stdout.strip() or "no git checkout"
    return (
        f"command: python -m benchmarks.statistics.coverage {asked}; commit: {commit}\n"
        f"machine: {hardware()['processor']}, {usable_cores()} cores, numpy {np.__version__}"
    )


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=DRAWS, help="test sets simulated of each design")
    parser.add_argument("--designs", type=int, default=len(DESIGNS), help="only the first so many designs")
    parser.add_argument("--first", type=int, default=1, help="the design to begin with, counted from one")
    parser.add_argument("--tests", action="store_true", help="of the paired tests: false alarms and power")
    parser.add_argument("--selection", action="store_true", help="of folds over images that were chosen with")
    parser.add_argument(
        "--searched", action="store_true", help="of the intervals of other metrics and of costs"
    )
    options = parser.parse_args()
    made = origin(" ".join(sys.argv[1:]))
    others = {
        "tests": partial(print_tests, first=options.first, designs=options.designs),
        "selection": print_selection,
        "searched": print_searched,
    }
    if chosen := [show for name, show in others.items() if getattr(options, name)]:
        chosen[0](options.draws)
        print(f"\n{made}", flush=True)
        return
    header = [
        "design",
        "score",
        "tuner: coverage %",
        "width",
        "percentile group bootstrap: coverage %",
        "width",
    ]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for number, design in enumerate(DESIGNS[: options.designs]):
        if number + 1 < options.first:
            continue
        for row in measure(design, options.draws, number):
            print("| " + " | ".join(row) + " |", flush=True)
        print(f"  {number + 1} of {len(DESIGNS)}", file=sys.stderr, flush=True)
    print(f"\n{made}", flush=True)


if __name__ == "__main__":
    main()
