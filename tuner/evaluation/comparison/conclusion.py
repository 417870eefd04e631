"""The comparison in words."""

from typing import TYPE_CHECKING, Any

import numpy as np

from trainables.wording import some
from tuner.evaluation.comparison.table import amount
from tuner.statistics.metric_errors import single_groups
from tuner.statistics.paired import fewest_groups

if TYPE_CHECKING:
    import pandas as pd

    from trainables.metrics import Metric
    from tuner.evaluation.comparison.evidence import Evidence

__all__ = [
    "BEST",
    "BETTER",
    "CHOSEN",
    "TIED",
    "TOO_FEW",
    "UNTESTED",
    "WORSE",
    "conclude",
    "in_words",
    "percent",
    "why_no_test",
]

BEST, CHOSEN = "best on validation", "chosen"
TIED, WORSE, BETTER = "tied with the first", "worse", "better"
"""Verdicts on a finalist; all but the first compare it with the first on the test images."""

UNTESTED = "not tested"
"""The verdict where the test images can't tell two finalists apart, however they answer."""

TOO_FEW = "too few to tell"
"""The verdict where there are fewer groups than any difference takes to be significant."""


def conclude(
    table: "pd.DataFrame",
    pairs: "pd.DataFrame",
    evidence: "Evidence",
    out_of_fold: bool = False,
    among: str = "",
) -> tuple[str, ...]:
    """What the table says, in sentences with numbers; ties are called ties, by the searched metric and by accuracy.

    `out_of_fold` says that the table is of all images, each answered by a model that had not seen its group; `among`
    are words that say of which finalists it is, if not of all.
    """
    best, metric = table.iloc[0], evidence.metric
    images, groups = len(evidence.labels), len(set(evidence.groups))
    judges, where = ("images", "out of fold") if out_of_fold else ("test images", "on the test images")
    unit = f"{images} {judges} of {groups} groups" if evidence.grouped else f"{images} {judges}"
    by_accuracy = metric.name == "val_accuracy"
    own = (
        ""
        if by_accuracy
        else f" reaches {in_words(metric, best['test_value'])}{_interval(metric, best)} {where} and"
    )
    why = f"has the best {best['metric']} on validation, {best['value']:.4g},"
    if evidence.chosen_by is not None:
        why = f"was chosen by the {evidence.chosen_by:,} images that judged the search,"
    first = (
        f"{among}{best['label']} ({best['key']}) {why}{own}"
        f"{' and' if by_accuracy else ''} gets {percent(best['test_accuracy'])} of {unit} right"
        f" (95 % interval {percent(best['test_accuracy_low'])} to {percent(best['test_accuracy_high'])})."
    )
    alike = _answers_alike(table)
    if len(table) == 1:
        return (first, *alike, "There is no other finalist to compare it with.")
    others = f"Of the {len(table) - 1} other finalists, by {metric.title}, {_counted(table, 'verdict')}"
    others += "." if by_accuracy else f"; by accuracy {_counted(table, 'accuracy_verdict')}."
    if (table["verdict"] == TOO_FEW).any():
        return (first, *alike, others, _smallest_p(evidence, len(table) - 1))
    untested = (table["verdict"] == UNTESTED).any()
    last = why_no_test(evidence) if untested else _needed(table, pairs, groups, evidence, where)
    return (first, *alike, others, last)


def _smallest_p(evidence: "Evidence", questions: int) -> str:
    """Why too few groups show nothing, for who knows tests."""
    have, enough = evidence.judges, fewest_groups(questions)
    corrected = f", {min(1.0, questions * 2 / 2**have):.2g} after Holm's correction" if questions > 1 else ""
    return (
        f"With {have} {evidence.unit}{'' if have == 1 else 's'} the smallest p-value of a paired test is"
        f" {2 / 2**have:.2g}{corrected}, above the level of 0.05; with {enough} it is"
        f" {questions * 2 / 2**enough:.2g}{' after it' if corrected else ''}."
    )


def why_no_test(evidence: "Evidence") -> str:
    """The sentence that stands where no two finalists are compared by the metric of the search."""
    metric, unit = evidence.metric, "group" if evidence.grouped else "image"
    alone = single_groups(metric, evidence.answers(evidence.finalists[0].key), evidence.groups)
    names = [repr(evidence.classes[code]) for code in alone if code is not None]
    names += [f"the classes other than {evidence.classes[evidence.positive or 0]!r}"] if None in alone else []
    if not names:
        return f"By {metric.title} no finalist is tested against another: it has no value on these images."
    who = some(names)
    have = "has" if len(names) == 1 and None not in alone else "have"
    return (
        f"By {metric.title} no finalist is tested against another (p = 1): {who} {have} a single {unit}, which does not"
        f" show how such {unit}s differ. Log loss and accuracy do not average over classes and are tested all the same."
    )


def _counted(table: "pd.DataFrame", column: str) -> str:
    """How many finalists are tied, worse and better by the verdicts of `column`."""
    parts = []
    for verdict, one, many in (
        (TIED, "is tied with the first", "are tied with the first"),
        (WORSE, "is worse", "are worse"),
        (BETTER, "is better", "are better"),
        (UNTESTED, "is not tested", "are not tested"),
        (TOO_FEW, "can't be told from the first", "can't be told from the first"),
    ):
        those = table[table[column] == verdict]
        count, blind = len(those), int(those["one_answer"].notna().sum())
        aside = f" (of which {blind} with the same class for every image)" if blind else ""
        if count:
            parts.append(f"{count} {one if count == 1 else many}{aside}")
    return ", ".join(parts)


def _answers_alike(table: "pd.DataFrame") -> tuple[str, ...]:
    """A sentence on the finalists that tell no classes apart; none if all do."""
    alike = table[table["one_answer"].notna()]
    if len(alike) == 0:
        return ()
    chosen = table["one_answer"].iloc[0]
    if isinstance(chosen, str):
        others = len(alike) - 1
        more = f", and so {'does 1 other' if others == 1 else f'do {others} others'}" if others else ""
        return (
            f"But it answers the same class, {chosen!r}, for every test image{more}: it tells no classes apart,"
            " and to be tied with it says nothing.",
        )
    names = some(f"{row['label']} ({row['one_answer']!r})" for row in alike.to_dict("records"))
    who = "1 finalist answers" if len(alike) == 1 else f"{len(alike)} finalists answer"
    return (f"{who} the same class for every test image, which tells no classes apart: {names}.",)


def _needed(
    table: "pd.DataFrame", pairs: "pd.DataFrame", groups: int, evidence: "Evidence", where: str
) -> str:
    """How many groups would tell the top two apart by the searched metric."""
    import pandas as pd

    metric, kind = evidence.metric, "" if where == "out of fold" else "test "
    top, unit = pairs.iloc[0], "groups" if evidence.grouped else "images"
    top_two = "the top two on validation" if evidence.chosen_by is None else "the first two"
    who = f"{top_two}, {table.iloc[0]['label']} and {table.iloc[1]['label']},"
    if pd.isna(top["groups_needed"]):
        if groups < 2:
            return f"How many {unit} would separate {who} can't be told from a single one."
        return (
            f"To separate {who} which are equal {where} in {metric.title}, takes more {unit} than any data"
            " could give."
        )
    size = abs(top["difference"])
    by = f"{size:.3f} nats" if metric.minimised else f"{100 * size:.2f} points"
    return (
        f"To separate {who} which differ by {by} in {metric.title} {where}, about"
        f" {int(top['groups_needed']):,} {kind}{unit} would be needed (80 % power, 5 % level after correction for"
        f" {_pairs_asked(pairs)}); there are {groups:,}."
    )


def _pairs_asked(pairs: "pd.DataFrame") -> str:
    """How many pairs of finalists are compared at once."""
    count = int((pairs["metric"] == pairs["metric"].iloc[0]).sum())
    return "1 pair" if count == 1 else f"{count:,} pairs"


def _interval(metric: "Metric", row: "pd.Series[Any]") -> str:
    """The interval of the searched metric in brackets; empty where it has none."""
    low, high = row["test_value_low"], row["test_value_high"]
    unit = "" if metric.minimised else " %"
    return "" if np.isnan(low) else f" (95 % interval {amount(metric, low)} to {amount(metric, high)}{unit})"


def in_words(metric: "Metric", value: float) -> str:
    """A metric with its value, as people say it."""
    return f"a {metric.title} of {value:.3f}" if metric.minimised else f"{percent(value)} {metric.title}"


def percent(share: float) -> str:
    """`share` in words for people, with one decimal."""
    return f"{100 * share:.1f} %"
