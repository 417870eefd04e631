"""The main table of a comparison as text: its rows for page and terminal, and as Markdown."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trainables.metrics import METRICS, Metric
from tuner.html.escaping import for_markdown
from tuner.html.page import Small

if TYPE_CHECKING:
    import pandas as pd

    from tuner.evaluation.comparison.evidence import Comparison

__all__ = [
    "amount",
    "brief_rows",
    "ends",
    "first_rows",
    "gap",
    "gap_ends",
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

Column = tuple[str, Callable[[Mapping[Any, Any]], str]]
"""The head of a column, and its cell for a row of the comparison."""


def main_rows(found: "pd.DataFrame", judges: str = "test") -> tuple[list[str], list[list[str]]]:
    """Header and cells of the main table, as the terminal and the page show them.

    `judges` says which images the scores are of.
    """
    columns = [
        ("", lambda row: str(row["rank"])),
        ("finalist", lambda row: row["label"]),
        *_accuracy(found, judges),
        *_searched(found, judges),
        *_costs(found, judges),
        *_others(found),
        ("trial", lambda row: row["key"]),
    ]
    rows = [[cell(row) for _, cell in columns] for row in found.to_dict("records")]
    return [head for head, _ in columns], rows


def brief_rows(found: "pd.DataFrame", judges: str = "test") -> tuple[list[str], list[list[str]]]:
    """Header and cells of the five columns that fit a terminal: who, loss, its interval, accuracy, verdict.

    Where accuracy was searched for, the interval is that of accuracy.
    """
    metric = METRICS[str(found["metric"].iloc[0])]
    loss, accuracy = METRICS["val_loss"], METRICS["val_accuracy"]
    if metric is accuracy:
        head, name, interval = loss, "test_loss", (accuracy, "test_accuracy")
    else:
        head, name, interval = metric, "test_value", (metric, "test_value")
    of, stem = interval
    header = [
        "finalist",
        f"{judges} {head.title}{unit(head)}",
        f"95 % of {of.title}",
        "accuracy %",
        "verdict",
    ]
    rows = [
        [
            row["label"],
            amount(head, row[name]),
            ends(of, row[f"{stem}_low"], row[f"{stem}_high"]),
            points(row["test_accuracy"]),
            row["verdict"],
        ]
        for row in found.to_dict("records")
    ]
    return header, rows


def first_rows(found: "pd.DataFrame") -> tuple[list[str], list[list[str | Small]]]:
    """Header and cells of the four columns that a page begins with; the trial stands small below its name."""
    metric = METRICS[str(found["metric"].iloc[0])]
    header = ["finalist", "test accuracy %", "95 % interval", f"verdict by {metric.title}"]
    rows: list[list[str | Small]] = []
    for row in found.to_dict("records"):
        blind = row["one_answer"]
        small = "; ".join([row["key"], *([f"always answers {blind!r}"] if isinstance(blind, str) else [])])
        cells = [points(row["test_accuracy"]), span(row, "test_accuracy"), row["verdict"]]
        rows.append([Small(row["label"], small), *cells])
    return header, rows


def _searched(found: "pd.DataFrame", judges: str) -> list[Column]:
    """How it does by the metric of the search."""
    metric = METRICS[str(found["metric"].iloc[0])]
    test: list[Column] = [
        (f"{judges} {metric.title}{unit(metric)}", lambda row: amount(metric, row["test_value"])),
        ("95 %", lambda row: ends(metric, row["test_value_low"], row["test_value_high"])),
    ]
    return [
        *([("expected", lambda row: number(row["estimate"]))] if _estimated(found) else []),
        (metric.name, lambda row: f"{row['value']:.4f}"),
        *([] if metric.name == "val_accuracy" else test),
        ("verdict", lambda row: row["verdict"]),
        (f"vs first{'' if metric.minimised else ', points'}", lambda row: gap(metric, row["difference"])),
        ("p (Holm)", lambda row: p_value(row["p_holm"])),
    ]


def _estimated(found: "pd.DataFrame") -> bool:
    """Whether the search estimated what a finalist may expect; comparisons of earlier versions know no such column."""
    return "estimate" in found and bool(found["estimate"].notna().any())


def _accuracy(found: "pd.DataFrame", judges: str) -> list[Column]:
    """Accuracy with its interval, verdicts by it, and what was published."""
    columns: list[Column] = [
        (f"{judges} accuracy %", lambda row: points(row["test_accuracy"])),
        ("95 %", lambda row: span(row, "test_accuracy")),
    ]
    if found["one_answer"].notna().any():
        columns.append(("note", lambda row: note(row["one_answer"])))
    if found["metric"].iloc[0] != "val_accuracy":
        columns += [
            ("by accuracy", lambda row: row["accuracy_verdict"]),
            ("vs first, points", lambda row: signed(row["accuracy_difference"])),
            ("p (Holm)", lambda row: p_value(row["accuracy_p_holm"])),
        ]
    if _any(found, "published_accuracy"):
        columns += [
            ("published %", published_span),
            ("published as", lambda row: row["published_label"] or ""),
        ]
    return columns


def _costs(found: "pd.DataFrame", judges: str) -> list[Column]:
    """What answers cost and what running costs, where that is known."""
    columns: list[Column] = []
    if "test_cost" in found:
        columns += [
            (f"{judges} cost", lambda row: number(row["test_cost"])),
            ("95 %", lambda row: f"{number(row['test_cost_low'])} to {number(row['test_cost_high'])}"),
            ("by cost", lambda row: row["cost_verdict"]),
            ("vs first", lambda row: gap(METRICS["val_loss"], row["cost_difference"])),
            ("p (Holm)", lambda row: p_value(row["cost_p_holm"])),
        ]
    if "milliseconds" in found:
        columns += [
            ("ms an image", lambda row: f"{row['milliseconds']:.1f}"),
            ("MB", lambda row: f"{row['megabytes']:.0f}"),
            ("million parameters", lambda row: f"{row['parameters'] / 1e6:.1f}"),
            ("Pareto", lambda row: "front" if row["pareto"] else ""),
        ]
    return columns


def _others(found: "pd.DataFrame") -> list[Column]:
    """The other scores, and what other seeds and a split by image make of accuracy."""
    columns: list[Column] = [("95 % by image", lambda row: span(row, "image_accuracy"))]
    for name in ("val_loss", "val_balanced_accuracy", "val_macro_f1"):
        if name != found["metric"].iloc[0]:
            columns.append(_score(METRICS[name]))
    columns.append(("calib. error", lambda row: number(row["calibration_error"])))
    if "seeds" in found and (found["seeds"] > 0).any():
        columns.append(("seeds: mean ± sd %", _seeds))
    if _any(found, "by_image_accuracy"):
        columns += [
            ("split by image %", lambda row: points(row["by_image_accuracy"])),
            ("leak, points", lambda row: signed(row["leak"])),
        ]
    return columns


def _score(metric: Metric) -> Column:
    return f"{metric.title}{unit(metric)}", lambda row: amount(metric, row[f"test_{metric.stem}"])


def _seeds(row: Mapping[Any, Any]) -> str:
    mean, spread = row["seed_accuracy_mean"], row["seed_accuracy_sd"]
    return f"{points(mean)} ± {points(spread)} ({row['seeds']})" if row["seeds"] else ""


def _any(found: "pd.DataFrame", column: str) -> bool:
    return column in found and bool(found[column].notna().any())


def unit(metric: Metric) -> str:
    """The unit in which a metric is shown: log loss in nats, as it is; shares in percent."""
    return "" if metric.minimised else " %"


def amount(metric: Metric, value: float) -> str:
    """A metric's value: a loss as it is, a share in percent; empty for NaN."""
    return number(value) if metric.minimised else points(value)


def ends(metric: Metric, low: float, high: float) -> str:
    """The interval of a metric; empty where it has none."""
    return "" if math.isnan(low) else f"{amount(metric, low)} to {amount(metric, high)}"


def gap(metric: Metric, value: float) -> str:
    """A difference in a metric with its sign, in nats or in points; empty for NaN."""
    if not metric.minimised:
        return signed(value)
    return "" if math.isnan(value) else f"{round(value, 3) + 0.0:+.3f}"


def gap_ends(metric: Metric, low: float, high: float) -> str:
    """The interval of a difference; empty where it has none."""
    return "" if math.isnan(low) else f"{gap(metric, low)} to {gap(metric, high)}"


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
