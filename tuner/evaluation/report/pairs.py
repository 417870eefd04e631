"""The report's tables of every two finalists: by how much they differ, whether that tells them apart, what would."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.evaluation.comparison.judging import judged_metrics
from tuner.evaluation.comparison.table import gap, gap_ends, p_value
from tuner.html.escaping import for_html
from tuner.html.page import table
from tuner.statistics.paired import SIGNIFICANCE, fewest_groups

if TYPE_CHECKING:
    from trainables.metrics import Metric
    from tuner.evaluation.comparison.evidence import Comparison, Evidence

__all__ = ["pairs_tables"]

FEW = "too few to tell"


def pairs_tables(found: "Comparison", evidence: "Evidence") -> str:
    """A table for each metric, and how to read an interval beside a verdict that is made among many."""
    if not len(found.pairs):
        return "<p>There is only one finalist.</p>"
    metrics = judged_metrics(evidence)
    asked = int((found.pairs["metric"] == metrics[0].name).sum())
    labels = dict(zip(found.table["key"], found.table["label"], strict=True))
    tables = [_table(found, evidence, metric, labels, asked) for metric in metrics]
    return "".join(tables) + f'<p class="note">{for_html(_note(evidence, asked))}</p>'


def _table(
    found: "Comparison", evidence: "Evidence", metric: "Metric", labels: Mapping[str, str], asked: int
) -> str:
    enough = evidence.judges >= fewest_groups(asked)
    header = [
        "first",
        "second",
        f"first minus second{'' if metric.minimised else ', points'}",
        "told apart",
        *(["95 %, this pair alone"] if enough else []),
        "p-value, this pair alone",
        f"p (Holm), all {asked:,} pairs" if asked > 1 else "p (Holm)",
        f"{evidence.unit}s needed",
    ]
    rows = []
    for row in found.pairs[found.pairs["metric"] == metric.name].to_dict("records"):
        cells = [labels[row["first"]], labels[row["second"]], gap(metric, row["difference"])]
        cells += [_told_apart(row, enough), *([gap_ends(metric, row["low"], row["high"])] if enough else [])]
        cells += [p_value(row["p"]), p_value(row["p_holm"])]
        rows.append([*cells, _needed(row, evidence.judges)])
    return table(header, rows, f"Paired comparisons by {metric.title}")


def _told_apart(row: Mapping[Any, Any], enough: bool) -> str:
    if not enough:
        return FEW
    if row["low"] != row["low"]:
        return "not tested"
    return "yes" if row["p_holm"] <= SIGNIFICANCE else "no"


def _needed(row: Mapping[Any, Any], judges: int) -> str:
    """The groups that would tell two finalists apart; a pair that could not be tested at all has no number."""
    import pandas as pd

    needed = row["groups_needed"]
    if pd.isna(needed):
        return "not known" if row["low"] != row["low"] else "no data would do"
    # The number is an estimate: where the test itself has just said no, it takes more than there are.
    if int(needed) <= judges and not row["p_holm"] <= SIGNIFICANCE:
        return f"more than {judges:,}"
    return f"{int(needed):,}"


def _note(evidence: "Evidence", asked: int) -> str:
    needed = (
        f"{evidence.unit.capitalize()}s needed: to see such a difference in four of five test sets, at the 5 % level"
        f" after correction for all {asked:,} pairs."
    )
    if evidence.judges < fewest_groups(asked):
        return (
            f"{evidence.judges} {evidence.unit}{'' if evidence.judges == 1 else 's'} can't tell any of {asked:,} pairs"
            f" apart, however different their answers are: so many take at least {fewest_groups(asked)}. So no"
            f" interval of a difference is given. {needed}"
        )
    return (
        f"Told apart are pairs whose p-value stays at most 0.05 after correction for all {asked:,} pairs. The interval"
        f" is of one pair alone: of many pairs some are without zero by chance, and then the answer is no. {needed}"
    )
