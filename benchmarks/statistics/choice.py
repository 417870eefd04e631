"""Who is chosen, and what is expected of it, beside what it then shows: over many splits of recorded answers.

    TUNER_POTATO_DATA=DIR python -m benchmarks.statistics.choice --record FOLDER
    python -m benchmarks.statistics.choice --answers FOLDER

Recording takes some minutes, and may be cut and gone on with. The answers are those of `record_answers.py`: every image
of three sets answered out of fold by every configuration after every epoch. A split takes a third of the images, whole
groups, to test. Of the others either one tenth of all judges, as in a search without folds, or every one does. The
winner is chosen there and tested on the test images. Expected minus test is to be zero on average. The column beside it
takes off what a fixed configuration shows between the same two parts, which is zero on average too: what is left varies
less. Regret is the test loss of the winner above that of the epoch that is best over all images.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import print_held_equal, say
from benchmarks.quality.fine_tuning import mean_and_interval
from benchmarks.statistics.record_answers import MODEL, SETS, SIZE, Answers, read, record
from trainables.best_epoch import LATER, best_epoch, smoothed
from tuner.statistics.groups import group_codes
from tuner.statistics.shrinkage import group_sums, shrink

SPLITS = 100
TENTH, LEARNING = 1 / 10, 2 / 3
FIRST, ESTIMATE = "best epoch", "estimate"
CHOICES = (0.0, LATER, 1.0, 2.0)
"""Standard errors by which a later epoch may be worse than the lowest one before it, and takes its place."""

FloatArray = npt.NDArray[np.float64]
Chosen = tuple[int, int, float]
"""Configuration and epoch of a winner, and its expected loss."""


@dataclass(frozen=True)
class Judged:
    """What a split showed of one way to choose: expected minus test, the same less a fixed one's, and regret."""

    bias: float
    steadier: float
    regret: float


def main() -> None:
    """Record, or measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", type=Path, help="folder for the answers; what is there is kept")
    parser.add_argument("--answers", type=Path, help="folder with recorded answers")
    parser.add_argument("--splits", type=int, default=SPLITS, help=f"by default {SPLITS}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; means nothing")
    options = parser.parse_args()
    if options.record is not None:
        record(Path(os.environ["TUNER_POTATO_DATA"]), options.record, quick=options.quick)
        return
    sets = {name: read(options.answers, name) for name in SETS}
    found = {name: measure(name, answers, options.splits) for name, answers in sets.items()}
    print_table(found)
    print_constant(found)
    sizes = ", ".join(f"{len(a.names)} configurations on {len(a.labels)} {name}" for name, a in sets.items())
    print_held_equal(f"{sizes}, {SIZE} px, {options.splits} splits", MODEL)


def measure(name: str, answers: Answers, splits: int) -> dict[str, list[Judged]]:
    """By way to choose what each of so many splits showed."""
    means = answers.losses.mean(axis=2)
    fixed = np.unravel_index(np.nanargmin(means), means.shape)
    random = np.random.default_rng(0)
    found: dict[str, list[Judged]] = {}
    for number in range(splits):
        part = parts(answers.groups, random)
        for way, choose in ways(answers.first).items():
            judging = part == 0 if way.endswith("tenth") else part < 2
            at, epoch, expected = choose(answers.losses[:, :, judging], group_codes(answers.groups[judging]))
            test = answers.losses[:, :, part == 2].mean(axis=2)
            noise = answers.losses[fixed][judging].mean() - test[fixed]
            bias = expected - test[at, epoch]
            found.setdefault(way, []).append(Judged(bias, bias - noise, test[at, epoch] - test[fixed]))
        if (number + 1) % 10 == 0:
            say(f"  {name}: {number + 1} splits")
    return found


def parts(groups: npt.NDArray[np.str_], random: np.random.Generator) -> npt.NDArray[np.int64]:
    """By image: 0 in the tenth that validates, 1 among the others that may judge, 2 where it tests; whole groups."""
    codes = group_codes(groups)
    sizes = np.bincount(codes)
    order = random.permutation(len(sizes))
    share = np.cumsum(sizes[order]) / len(codes)
    place = np.empty(len(sizes), dtype=np.int64)
    place[order] = np.searchsorted([TENTH, LEARNING], share, side="left")
    return np.asarray(place[codes])


def ways(first: Sequence[int]) -> Mapping[str, Callable[[FloatArray, npt.NDArray[np.int64]], Chosen]]:
    """The ways to choose by name; each gets losses [configurations, epochs, images] and the images' groups.

    `first` [configurations] is the place of the first epoch that is a result of the strategy.
    """
    estimate = partial(by_estimate, first=first)
    found: dict[str, Callable[[FloatArray, npt.NDArray[np.int64]], Chosen]] = {}
    for images in ("one tenth", "every image"):
        found[f"{FIRST}, {images}"] = lowest
        found[f"by variances, {images}"] = partial(estimate, moments=True)
        found[f"{ESTIMATE}, {images}"] = estimate
    for errors in CHOICES:
        if errors != LATER:
            found[f"{errors:g} standard errors"] = partial(estimate, standard_errors=errors)
    return found


def lowest(losses: FloatArray, groups: npt.NDArray[np.int64]) -> Chosen:
    """The lowest of all epochs' means, which is then expected of it."""
    means = losses.mean(axis=2)
    at, epoch = np.unravel_index(np.nanargmin(means), means.shape)
    return int(at), int(epoch), float(means[at, epoch])


def by_estimate(
    losses: FloatArray,
    groups: npt.NDArray[np.int64],
    standard_errors: float = LATER,
    *,
    first: Sequence[int],
    moments: bool = False,
) -> Chosen:
    """The winner of the estimates of the configurations' best epochs, as a search makes them."""
    epochs, rows = [], []
    for own, result in zip(losses, first, strict=True):
        known = [row for row in own if not np.isnan(row[0])]
        epochs.append(best_epoch(known, groups, standard_errors, first=result))
        rows.append(smoothed(known, epochs[-1], groups, first=result))
    stacked = np.stack(rows)
    winner = int(stacked.mean(axis=1).argmin())
    values = by_variances(stacked, groups) if moments else shrink(stacked, groups).values
    return winner, epochs[winner], float(values[winner])


def by_variances(losses: FloatArray, groups: npt.NDArray[np.int64]) -> FloatArray:
    """The textbook's estimates [configurations]: what is kept follows from the variances of means and noise."""
    means = losses.mean(axis=1)
    half = means <= np.median(means)
    sums, sizes = group_sums(losses - losses[half].mean(axis=0), groups)
    count = len(sizes)
    residuals = sums - np.outer(sums.sum(axis=1) / sizes.sum(), sizes)
    noise = float((residuals**2).sum(axis=1)[half].mean() * count / (count - 1) / sizes.sum() ** 2)
    between = max(0.0, float(((means[half] - np.median(means)) ** 2).mean()) - noise)
    return np.asarray(np.median(means) + between / (between + noise) * (means - np.median(means)))


def print_table(found: Mapping[str, Mapping[str, Sequence[Judged]]]) -> None:
    """One row a set and way."""
    head = (
        "set",
        "chosen by, judged on",
        "expected minus test",
        "less a fixed one's",
        "regret",
        "of the first",
    )
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for name, own in found.items():
        base = np.mean([one.regret for one in own[f"{FIRST}, one tenth"]])
        for way, rows in own.items():
            if "," not in way:
                continue
            regret = float(np.mean([one.regret for one in rows]))
            cells = [_ends([getattr(one, key) for one in rows]) for key in ("bias", "steadier", "regret")]
            print("| " + " | ".join([name, way, *cells, f"{regret / base:.2f}"]) + " |", flush=True)


def print_constant(found: Mapping[str, Mapping[str, Sequence[Judged]]]) -> None:
    """The number of standard errors that two sets choose by regret, and what it gives on the third."""
    names = {
        errors: f"{ESTIMATE}, every image" if errors == LATER else f"{errors:g} standard errors"
        for errors in CHOICES
    }

    def regret(name: str, errors: float) -> float:
        return float(np.mean([one.regret for one in found[name][names[errors]]]))

    print("\n| shown on | regret at " + " | ".join(f"{errors:g}" for errors in CHOICES), end="")
    print(" standard errors | the other two choose |\n|" + "---|" * (len(CHOICES) + 2))
    for name in found:
        others = [other for other in found if other != name]
        base = {o: np.mean([one.regret for one in found[o][f"{FIRST}, one tenth"]]) for o in others}
        shares = {errors: sum(regret(o, errors) / base[o] for o in others) for errors in CHOICES}
        chosen = min(shares, key=lambda errors: shares[errors])
        cells = " | ".join(f"{regret(name, errors):.4f}" for errors in CHOICES)
        print(f"| {name} | {cells} | {chosen:g} |")


def _ends(values: Sequence[float]) -> str:
    mean, low, high = mean_and_interval(values)
    return f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
