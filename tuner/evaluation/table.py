"""The main table of a comparison as text: its rows for page and terminal, and as Markdown."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.runs.escaping import for_markdown

if TYPE_CHECKING:
    import pandas as pd

    from tuner.evaluation.evidence import Comparison

__all__ = ["main_rows", "markdown", "note", "number", "p_value", "points", "published_span", "signed", "span"]


def main_rows(found: "pd.DataFrame") -> tuple[list[str], list[list[str]]]:
    """Header and cells of the main table, as the terminal and the page show them."""
    metric = str(found["metric"].iloc[0])
    published, seeds = found["published_accuracy"].notna().any(), (found["seeds"] > 0).any()
    noted = found["one_answer"].notna().any()
    header = ["", "finalist", metric, "test accuracy %", "95 %", *(["note"] if noted else [])]
    header += ["published %", "published as"] if published else []
    header += ["verdict", "vs best, points", "p (Holm)"]
    header += ["95 % by image", "balanced %", "macro-F1", "loss", "calib. error"]
    header += ["seeds: mean ± sd %"] if seeds else []
    by_image = found["by_image_accuracy"].notna().any()
    header += ["split by image %", "leak, points"] if by_image else []
    header += ["trial"]
    rows = []
    for row in found.to_dict("records"):
        cells = [str(row["rank"]), row["label"], f"{row['value']:.4f}", points(row["test_accuracy"])]
        cells += [span(row, "test_accuracy"), *([note(row["one_answer"])] if noted else [])]
        cells += [published_span(row), row["published_label"] or ""] if published else []
        cells += [row["verdict"], signed(row["difference"]), p_value(row["p_holm"])]
        cells += [span(row, "image_accuracy"), points(row["test_balanced_accuracy"])]
        cells += [number(row[name]) for name in ("test_macro_f1", "test_loss", "calibration_error")]
        if seeds:
            mean, spread = row["seed_accuracy_mean"], row["seed_accuracy_sd"]
            cells.append(f"{points(mean)} ± {points(spread)} ({row['seeds']})" if row["seeds"] else "")
        if by_image:
            cells += [points(row["by_image_accuracy"]), signed(row["leak"])]
        rows.append([*cells, row["key"]])
    return header, rows


def note(one_answer: str | None) -> str:
    """What must be known of the score of a model that took every image for the class `one_answer`."""
    return f"same class for every image: {one_answer!r}" if isinstance(one_answer, str) else ""


def points(share: float, digits: int = 1) -> str:
    """`share` as a number of percent; empty for NaN."""
    return "" if math.isnan(share) else f"{100 * share:.{digits}f}"


def signed(share: float) -> str:
    """`share` in percentage points with its sign; empty for NaN."""
    # Adding zero turns a negative zero into a plain one.
    return "" if math.isnan(share) else f"{round(100 * share, 1) + 0.0:+.1f}"


def number(value: float) -> str:
    """`value` with three decimals; empty for NaN."""
    return "" if math.isnan(value) else f"{value:.3f}"


def p_value(value: float) -> str:
    """A p-value as papers write it; empty for NaN."""
    return "" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def span(row: Mapping[Any, Any], name: str) -> str:
    """The interval of `name` in percent, low to high."""
    return f"{points(row[f'{name}_low'])} to {points(row[f'{name}_high'])}"


def published_span(row: Mapping[Any, Any]) -> str:
    """The published figure in percent; where its sources disagree, their ends, the run's own figure in brackets."""
    low, own, high = (row[f"published_{name}"] for name in ("low", "accuracy", "high"))
    if low == high or math.isnan(own):
        return points(own, 2)
    return f"{points(low, 2)} to {points(high, 2)} ({points(own, 2)})"


def markdown(comparison: "Comparison") -> str:
    """The comparison as a Markdown table, the conclusion, the findings and the warnings beneath it."""
    header, rows = main_rows(comparison.table)
    cells = [[for_markdown(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [for_markdown(f"Warning: {note}") for note in comparison.warnings]
    found = [part for text in comparison.findings for part in ("", for_markdown(text))]
    words = [for_markdown(comparison.conclusion), *found, *([""] if notes else []), *notes]
    return "\n".join([*lines, "", *words])
