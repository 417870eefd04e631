"""The tables of `anytime.py`: each contender on each set, and the geometric mean over the sets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.anytime_rows import Row
from tuner.statistics.means import half_width

AGAINST = "logistic"


@dataclass(frozen=True)
class Question:
    """What is compared in one table: the rows of so many images and pixels within one budget."""

    images: int
    pixels: int
    budget: float

    def has(self, row: Row) -> bool:
        """Whether the row belongs here; a contender that heeds no budget does in all of them."""
        same = (row.cell.images, row.cell.pixels) == (self.images, self.pixels)
        return same and row.cell.budget in (None, self.budget)


def print_tables(rows: Sequence[Row]) -> None:
    """For every number of images and every budget: a table a set, then the geometric means."""
    budgets = sorted({row.cell.budget for row in rows if row.cell.budget is not None}) or [math.inf]
    sizes = sorted({(row.cell.images, row.cell.pixels) for row in rows}, reverse=True)
    for images, pixels in sizes:
        for budget in budgets:
            question = Question(images, pixels, budget)
            _print_question(question, [row for row in rows if question.has(row)])
    print(
        "\nLog losses are of the test images, in nats. A difference below 0 is better than what it is compared with."
        " Intervals\n(95 %) are over whole groups of test images, for the models as they were trained."
    )
    for title, words in (
        ("commits", {row.commit for row in rows}),
        ("machines", {row.machine for row in rows}),
    ):
        print(f"{title}: {'; '.join(sorted(words))}")
    if rows:
        print(f"load before a row: at most {max(row.load for row in rows):.1f}", flush=True)


def _print_question(question: Question, rows: Sequence[Row]) -> None:
    names = _in_order(rows)
    references = [AGAINST, *[name for name in names if name.startswith("tuner")][-1:]]
    budget = f", {question.budget:g} s" if math.isfinite(question.budget) else ""
    title = f"{question.images} images{budget}, {question.pixels} px where given"
    for name in dict.fromkeys(row.cell.set for row in rows):
        own = [row for row in rows if row.cell.set == name]
        learned = "/".join(map(str, sorted({row.learned for row in own})))
        print(f"\n{name}: {title}; {learned} learned from\n")
        heads = " | ".join(f"minus {reference}" for reference in references)
        print(f"| contender | splits | log loss | accuracy | seconds | {heads} |")
        print("|---|---|---|---|---|" + "---|" * len(references))
        for contender in names:
            _print_row(contender, own, references)
    _print_means(title, names, rows)


def _print_row(contender: str, rows: Sequence[Row], references: Sequence[str]) -> None:
    own = [row for row in rows if row.cell.contender == contender]
    good = [row for row in own if row.error is None]
    failed = f", {len(own) - len(good)} failed" if len(good) < len(own) else ""
    if not good:
        print(f"| {contender} | 0{failed} |" + " - |" * (3 + len(references)))
        return
    loss, right = pooled(good)
    seconds = np.mean([row.seconds for row in good])
    gaps = " | ".join(
        "-" if reference == contender else difference(good, _of(rows, reference)) for reference in references
    )
    print(f"| {contender} | {len(good)}{failed} | {loss:.4f} | {right:.3f} | {seconds:.0f} | {gaps} |")


def _print_means(title: str, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Geometric means, of contenders that have answered in every split that any has."""
    means = {name: geometric_mean(name, rows) for name in names}
    others = [value for name, value in means.items() if value and not name.startswith("tuner")]
    sets = list(dict.fromkeys(row.cell.set for row in rows))
    print(f"\n{title}: geometric mean over {', '.join(sets)}\n")
    print(f"| contender | log loss | / {AGAINST} | / best without tuner |\n|---|---|---|---|")
    for name, value in means.items():
        ratios = [_ratio(value, base) for base in (means.get(AGAINST), min(others, default=None))]
        shown = "-" if value is None else f"{value:.4f}"
        print(f"| {name} | {shown} | {' | '.join(ratios)} |")


def pooled(rows: Sequence[Row]) -> tuple[float, float]:
    """Mean log loss and accuracy of all test images of several splits."""
    losses, right = (
        np.concatenate([getattr(row.answers, name) for row in rows]) for name in ("losses", "right")
    )
    return float(losses.mean()), float(right.mean())


def difference(own: Sequence[Row], others: Sequence[Row]) -> str:
    """Own minus others' mean log loss with its interval, on the images that both answered."""
    by_split = {row.cell.split: row for row in others}
    pairs = [(row, by_split[row.cell.split]) for row in own if row.cell.split in by_split]
    if not pairs:
        return "-"
    if any(one.answers.groups != other.answers.groups for one, other in pairs):
        raise SystemExit("rows of one split have other test images; they are of different sets of images")
    gaps = np.concatenate([np.subtract(one.answers.losses, other.answers.losses) for one, other in pairs])
    groups = np.concatenate([one.answers.groups for one, _ in pairs])
    half = half_width(gaps, groups)
    mean = float(gaps.mean())
    return f"{mean:+.4f}" if half is None else f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"


def geometric_mean(contender: str, rows: Sequence[Row]) -> float | None:
    """Of a contender's log losses on the sets; None if it lacks a split that another has."""
    wanted = {(row.cell.set, row.cell.split) for row in rows}
    own = [row for row in rows if row.cell.contender == contender and row.error is None]
    if {(row.cell.set, row.cell.split) for row in own} != wanted:
        return None
    sets = {row.cell.set for row in own}
    losses = [pooled([row for row in own if row.cell.set == name])[0] for name in sets]
    return float(np.exp(np.mean(np.log(losses))))


def _in_order(rows: Sequence[Row]) -> list[str]:
    """Names of the contenders, tuner last."""
    names = dict.fromkeys(row.cell.contender for row in rows)
    return sorted(names, key=lambda name: name.startswith("tuner"))


def _of(rows: Sequence[Row], contender: str) -> list[Row]:
    return [row for row in rows if row.cell.contender == contender and row.error is None]


def _ratio(value: float | None, base: float | None) -> str:
    return "-" if value is None or base is None else f"{value / base:.2f}"
