"""What others published of configurations that a space repeats, beside ours: figures, ranges, what they are worth."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from search_spaces import Background, Published, Space, load
from trainables.errors import UserMistake
from tuner.evaluation.comparison.table import points
from tuner.html.page import section
from tuner.html.page import table as html_table

if TYPE_CHECKING:
    from tuner.evaluation.comparison.evidence import Comparison, Evidence
    from tuner.evaluation.comparison.finalists import Finalist
    from tuner.runs.directory import Run

__all__ = ["background_of", "background_section", "finding", "with_published"]

TWO_DRAWS = 2 / math.sqrt(math.pi)
"""Mean distance of two draws from a normal distribution, in standard deviations."""

NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six")


def with_published(table: pd.DataFrame, evidence: "Evidence") -> pd.DataFrame:
    """The table with published figures, as fractions, where a finalist repeats a published run.

    `published_accuracy` is the figure of the run's own table, `published_low` and `published_high` the ends of all.
    """
    found = [_closest(one) for one in evidence.finalists]
    own = [row.accuracies[0] / 100 if row else np.nan for row in found]
    low = [min(row.accuracies) / 100 if row else np.nan for row in found]
    high = [max(row.accuracies) / 100 if row else np.nan for row in found]
    labels = pd.Series([row.name if row else None for row in found], dtype="object")
    return table.assign(
        published_label=labels, published_accuracy=own, published_low=low, published_high=high
    )


def background_of(evidence: "Evidence") -> Background:
    """What the first run's space says of the published work."""
    space = _space(evidence.runs[0])
    return space.background if space else Background()


def finding(table: pd.DataFrame, evidence: "Evidence") -> str | None:
    """How far two published trainings of one configuration differ, and what ours say of that; None without pairs."""
    space = _space(evidence.runs[0])
    if space is None or not space.background.pairs:
        return None
    figures = {row.name: row.accuracies[0] for row in space.published}
    pairs = space.background.pairs
    told = "; ".join(
        f"{a} {figures[a]:.2f} % and {b} {figures[b]:.2f} % ({_apart(figures, (a, b)):.2f} points)"
        for a, b in pairs
    )
    least = min(_apart(figures, pair) for pair in pairs)
    count = NUMBERS[len(pairs)] if len(pairs) < len(NUMBERS) else str(len(pairs))
    text = (
        f"{count} pairs of published runs are each one configuration trained twice: {told}. Even the nearest are"
        f" {least:.1f} points apart, so published differences below that are not the strategy's."
    )
    return f"{text} {_ours(table, pairs)} {_seeds(table)}".replace("  ", " ").strip()


def background_section(found: "Comparison", evidence: "Evidence") -> list[str]:
    """The page's section on what is repeated and what is not; empty for a space that repeats nothing."""
    from html import escape

    background = background_of(evidence)
    if not (background.pairs or background.deviations or background.unknown):
        return []
    parts = []
    if background.pairs:
        # Told once: whoever prints the comparison without the page has it from there.
        parts.append(f"<p>{escape(found.findings[0])}</p>")
        parts.append(html_table(*_pair_rows(found.table, evidence), "One configuration trained twice"))
    for words, items in (
        ("What is done otherwise here, on purpose", background.deviations),
        ("What is not known of the published runs", background.unknown),
    ):
        if items:
            listed = "".join(f"<li>{escape(item)}</li>" for item in items)
            parts.append(f"<h3>{words}</h3><ul>{listed}</ul>")
    return [section("The published runs", *parts)]


def _closest(one: "Finalist") -> Published | None:
    """The published run of most parameters that the finalist repeats."""
    space = _space(one.run)
    matches = [
        row
        for row in (space.published if space else ())
        if all(getattr(one.config, name) == value for name, value in row.parameters.items())
    ]
    return max(matches, key=lambda row: len(row.parameters), default=None)


def _space(run: "Run") -> Space | None:
    try:
        return load(str(run.record["space"]))
    except UserMistake:
        return None


def _apart(figures: dict[str, float], pair: tuple[str, str]) -> float:
    return abs(figures[pair[0]] - figures[pair[1]])


def _our_figures(table: pd.DataFrame) -> dict[str, float]:
    """Our accuracies in % by the published name."""
    known = table[table["published_label"].notna()]
    return {str(r["published_label"]): 100 * float(r["test_accuracy"]) for r in known.to_dict("records")}


def _ours(table: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> str:
    figures = _our_figures(table)
    ours = [_apart(figures, pair) for pair in pairs if set(pair) <= set(figures)]
    if not ours:
        return ""
    listed = ", ".join(f"{value:.1f}" for value in ours)
    return f"Trained here, the same pairs are {listed} points apart."


def _seeds(table: pd.DataFrame) -> str:
    several = table[table["seeds"] > 1]
    if several.empty:
        return "How far seeds alone move our own accuracies is what --seeds measures."
    spread = 100 * several["seed_accuracy_sd"].to_numpy(dtype=float)
    count = int(several["seeds"].min())
    middle = float(np.median(spread))
    return (
        f"Trained from {count} seeds each, the accuracy of our configurations has a standard deviation of"
        f" {spread.min():.1f} to {spread.max():.1f} points, {middle:.1f} in the middle: two trainings of one"
        f" configuration are then {TWO_DRAWS * middle:.1f} points apart on average."
    )


def _pair_rows(table: pd.DataFrame, evidence: "Evidence") -> tuple[list[str], list[list[str]]]:
    space = _space(evidence.runs[0])
    figures: dict[str, float] = {row.name: row.accuracies[0] for row in space.published} if space else {}
    ours = _our_figures(table)
    spread = {str(r["published_label"]): r for r in table.to_dict("records") if r["published_label"]}
    seeds = bool((table["seeds"] > 1).any())
    header = ["runs", "published %", "points apart", "ours %", "points apart"]
    header += ["our seeds: sd, points"] if seeds else []
    rows = []
    for a, b in background_of(evidence).pairs:
        cells = [f"{a}, {b}", f"{figures[a]:.2f} and {figures[b]:.2f}", f"{_apart(figures, (a, b)):.2f}"]
        if a in ours and b in ours:
            cells += [f"{ours[a]:.1f} and {ours[b]:.1f}", f"{_apart(ours, (a, b)):.1f}"]
        else:
            cells += ["", ""]
        if seeds:
            cells.append(" and ".join(filter(None, (_sd(spread.get(name)) for name in (a, b)))))
        rows.append(cells)
    return header, rows


def _sd(row: dict[Any, Any] | None) -> str:
    return points(float(row["seed_accuracy_sd"])) if row and row["seeds"] > 1 else ""
