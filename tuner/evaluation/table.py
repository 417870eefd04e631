"""The main table of a comparison as text: its rows for page and terminal, and as Markdown."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainables.metrics import METRICS, Metric
from tuner.runs.escaping import for_markdown

if TYPE_CHECKING:
    import pandas as pd

    from tuner.evaluation.evidence import Comparison

__all__ = [
    "amount",
    "gap",
    "main_rows",
    "markdown",
    "note",
    "number",
    "p_value",
    "points",
    "published_span",
    "signed",
    "span",
]


def main_rows(found: "pd.DataFrame", judges: str = "test") -> tuple[list[str], list[list[str]]]:
    """Header and cells of the main table, as the terminal and the page show them.

    `judges` says which images the scores are of.
    """
    metric = str(found["metric"].iloc[0])
    published, seeds = _any(found, "published_accuracy"), "seeds" in found and (found["seeds"] > 0).any()
    noted = found["one_answer"].notna().any()
    searched = METRICS[metric]
    by_accuracy = metric == "val_accuracy"
    header = ["", "finalist", metric]
    header += [] if by_accuracy else [f"{judges} {searched.title}{unit(searched)}"]
    header += ["verdict", f"vs best{', points' if not searched.minimised else ''}", "p (Holm)"]
    header += [f"{judges} accuracy %", "95 %", *(["note"] if noted else [])]
    header += [] if by_accuracy else ["by accuracy", "vs best, points", "p (Holm)"]
    header += ["published %", "published as"] if published else []
    others = [
        METRICS[name] for name in ("val_loss", "val_balanced_accuracy", "val_macro_f1") if name != metric
    ]
    costed = "test_cost" in found
    header += [f"{judges} cost", "95 %", "by cost", "vs best", "p (Holm)"] if costed else []
    timed = "milliseconds" in found
    header += ["ms an image", "MB", "Pareto"] if timed else []
    header += ["95 % by image", *(f"{one.title}{unit(one)}" for one in others), "calib. error"]
    header += ["seeds: mean ± sd %"] if seeds else []
    by_image = _any(found, "by_image_accuracy")
    header += ["split by image %", "leak, points"] if by_image else []
    header += ["trial"]
    rows = []
    for row in found.to_dict("records"):
        cells = [str(row["rank"]), row["label"], f"{row['value']:.4f}"]
        cells += [] if by_accuracy else [amount(searched, row["test_value"])]
        cells += [row["verdict"], gap(searched, row["difference"]), p_value(row["p_holm"])]
        cells += [points(row["test_accuracy"]), span(row, "test_accuracy")]
        cells += [note(row["one_answer"])] if noted else []
        if not by_accuracy:
            cells += [
                row["accuracy_verdict"],
                signed(row["accuracy_difference"]),
                p_value(row["accuracy_p_holm"]),
            ]
        cells += [published_span(row), row["published_label"] or ""] if published else []
        if costed:
            cells += [
                number(row["test_cost"]),
                f"{number(row['test_cost_low'])} to {number(row['test_cost_high'])}",
            ]
            dearer = gap(METRICS["val_loss"], row["cost_difference"])
            cells += [row["cost_verdict"], dearer, p_value(row["cost_p_holm"])]
        if timed:
            cells += [
                f"{row['milliseconds']:.1f}",
                f"{row['megabytes']:.0f}",
                "front" if row["pareto"] else "",
            ]
        cells += [span(row, "image_accuracy"), *(amount(one, row[f"test_{one.stem}"]) for one in others)]
        cells += [number(row["calibration_error"])]
        if seeds:
            mean, spread = row["seed_accuracy_mean"], row["seed_accuracy_sd"]
            cells.append(f"{points(mean)} ± {points(spread)} ({row['seeds']})" if row["seeds"] else "")
        if by_image:
            cells += [points(row["by_image_accuracy"]), signed(row["leak"])]
        rows.append([*cells, row["key"]])
    return header, rows


def _any(found: "pd.DataFrame", column: str) -> bool:
    return column in found and bool(found[column].notna().any())


def unit(metric: Metric) -> str:
    """The unit in which a metric is shown: log loss in nats, as it is; shares in percent."""
    return "" if metric.minimised else " %"


def amount(metric: Metric, value: float) -> str:
    """A metric's value: a loss as it is, a share in percent; empty for NaN."""
    return number(value) if metric.minimised else points(value)


def gap(metric: Metric, value: float) -> str:
    """A difference in a metric with its sign, in nats or in points; empty for NaN."""
    if not metric.minimised:
        return signed(value)
    return "" if math.isnan(value) else f"{round(value, 3) + 0.0:+.3f}"


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
    folds = comparison.folds
    judged = [] if folds is None else ["", f"In {folds.count} folds: {folds.conclusion}", *folds.remarks]
    words = [
        for_markdown(comparison.conclusion),
        *map(for_markdown, judged),
        *found,
        *([""] if notes else []),
        *notes,
    ]
    return "\n".join([*lines, "", *words])
