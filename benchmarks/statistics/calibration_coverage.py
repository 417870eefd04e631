"""How often the intervals of log loss and calibration error, before and after a temperature, hold the truth.

    python -m benchmarks.statistics.calibration_coverage

Each row draws test sets of one design again and again: three classes, groups of four images that resemble each other, a
model that is as confident as it should be or one and a half times too confident, judged before and after a temperature
of 1.5. The truth is that of very many groups. The peer of the loss's interval is Student's over groups.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.common import parse, print_held_equal, say
from tuner.statistics.calibration import Change, calibration_change, loss_change
from tuner.statistics.intervals import FloatArray, Interval
from tuner.statistics.log_loss import log_losses
from tuner.statistics.means import half_width

DRAWS, TRUTH, TEMPERATURE, IMAGES = 400, 60_000, 1.5, 4
PARTS = ("before", "after", "difference")


@dataclass(frozen=True)
class Design:
    """Groups of a test set, how far apart the classes lie, and by what the logits are too large."""

    groups: int
    skill: float
    excess: float

    def draw(self, groups: int, seed: int) -> tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Logits [n, 3], class numbers [n] and groups [n] of `groups` groups."""
        rng = np.random.default_rng(seed)
        codes = np.repeat(np.arange(groups), IMAGES)
        labels = rng.integers(0, 3, groups)[codes]
        noise = rng.normal(size=(groups, 3))[codes] + rng.normal(size=(len(codes), 3))
        seen = noise * math.sqrt(0.5) + self.skill * np.eye(3)[labels]
        return self.skill * self.excess * seen, labels, codes


DESIGNS = tuple(
    Design(groups, skill, excess) for groups in (54, 200) for skill in (2.0, 3.0) for excess in (1.0, 1.5)
)


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, draws=DRAWS)
    draws, truth = (20, 2000) if options.quick else (options.draws, TRUTH)
    print("\nshare of 95 % intervals that hold the truth, in %: before, after, difference")
    print("| test set | accuracy | too confident | log loss | Student's | square of the calibration error |")
    print("|---|---|---|---|---|---|", flush=True)
    for design in DESIGNS[:2] if options.quick else DESIGNS:
        print(row(design, draws, truth), flush=True)
    print_held_equal(f"{draws} draws a row, groups of {IMAGES}, half of an image's noise shared by its group")


def row(design: Design, draws: int, truth: int) -> str:
    """The row of one design."""
    large = design.draw(truth, 0)
    # Nobody asks for the truth's interval: a hundred large groups make its bootstrap short.
    right = judged((*large[:2], large[2] * 100 // truth))
    hits = np.zeros((3, 3))
    for seed in range(1, draws + 1):
        sample = design.draw(design.groups, seed)
        loss, square = judged(sample)
        for number, (one, other) in enumerate(zip((loss, loss, square), (right[0], *right), strict=True)):
            ends = student(sample) if number == 1 else intervals(one)
            hits[number] += [held(end, value) for end, value in zip(ends, values(other), strict=True)]
    say(f"  {design}")
    cells = [", ".join(f"{100 * share:.1f}" for share in part / draws) for part in hits]
    accuracy = float((large[0].argmax(axis=1) == large[1]).mean())
    return (
        f"| {design.groups} groups of {IMAGES} | {accuracy:.3f} | {design.excess:g} times |"
        f" {cells[0]} | {cells[1]} | {cells[2]} |"
    )


def judged(sample: tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> tuple[Change, Change]:
    """The changes of the loss and of the square of the calibration error."""
    return loss_change(*sample, TEMPERATURE), calibration_change(*sample, TEMPERATURE).square


def values(change: Change) -> list[float]:
    """What the intervals are to hold; a square that is free of noise may come out just below 0."""
    return [max(0.0, change.before), max(0.0, change.after), change.difference]


def intervals(change: Change) -> Iterator[Interval | None]:
    """The three intervals."""
    return (getattr(change, f"{part}_95") for part in PARTS)


def held(ends: Interval | None, value: float) -> bool:
    """Whether the interval holds the value."""
    return ends is not None and ends.low <= value <= ends.high


def student(
    sample: tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> Iterator[Interval]:
    """Student's intervals of the mean loss over groups, which are equally large."""
    logits, labels, codes = sample
    first, second = (log_losses(logits / scale, labels) for scale in (1.0, TEMPERATURE))
    for losses in (first, second, second - first):
        mean, half = float(losses.mean()), half_width(losses, codes)
        assert half is not None
        yield Interval(mean - half, mean + half)


if __name__ == "__main__":
    main()
