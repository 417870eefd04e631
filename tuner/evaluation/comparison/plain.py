"""The comparison in three sentences for somebody who takes photographs: the best, how good, how sure."""

from typing import TYPE_CHECKING, Any

from tuner.evaluation.comparison.conclusion import (
    BETTER,
    TIED,
    TOO_FEW,
    UNTESTED,
    percent,
    why_no_test,
)
from tuner.statistics.paired import why_no_difference

if TYPE_CHECKING:
    import pandas as pd

    from tuner.evaluation.comparison.evidence import Evidence

__all__ = ["in_plain_words"]

MANY_TIMES = 100
"""So many times the groups that there are nobody collects, and the number itself says nothing more."""


def in_plain_words(
    table: "pd.DataFrame", pairs: "pd.DataFrame", evidence: "Evidence", *, folds: bool = False
) -> tuple[str, ...]:
    """What was best, how good it will be on new images, and whether that is sure and what would make it surer.

    Where the images can't tell finalists apart at all, that comes first. With `folds` everything given is about all
    images, each answered out of fold, and nobody is advised to let them judge.
    """
    first, sure = _best(table, evidence), _sure(table, pairs, evidence, folds)
    good = _how_good(table, evidence, folds)
    if (table["verdict"] == TOO_FEW).any():
        return (sure, first, good)
    return (first, good, sure)


def _best(table: "pd.DataFrame", evidence: "Evidence") -> str:
    best = table.iloc[0]
    blind = best["one_answer"]
    but = f", but it answers {blind!r} for every test image" if isinstance(blind, str) else ""
    if evidence.chosen_by is not None:
        return f"The chosen model is {best['label']}, by the {evidence.chosen_by:,} images that judged the search{but}."
    return f"The best model on the validation images is {best['label']}{but}."


def _how_good(table: "pd.DataFrame", evidence: "Evidence", folds: bool) -> str:
    best, images = table.iloc[0], len(evidence.labels)
    groups = f" of {_count(evidence.judges, 'group')}" if evidence.grouped else ""
    low, high = percent(best["test_accuracy_low"]), percent(best["test_accuracy_high"])
    measured = (
        f"on {_count(images, 'image')}{groups}, each answered by a model that has not seen its group; a part of them"
        " chose the finalists, so it is a little too good"
        if folds
        else f"on {_count(images, 'test image')}{groups} that had no part in the search"
    )
    return (
        f"Of new images that are taken like these it names the right class for about {percent(best['test_accuracy'])}"
        f" (95 % interval {low} to {high}). This was measured {measured}."
    )


def _sure(table: "pd.DataFrame", pairs: "pd.DataFrame", evidence: "Evidence", folds: bool) -> str:
    others = table.iloc[1:]
    if not len(others):
        return "There is no other finalist to compare it with."
    surer = _surer(evidence, folds)
    verdicts = others["verdict"]
    if (verdicts == TOO_FEW).any():
        few = why_no_difference(evidence.judges, len(table), evidence.unit)
        return f"{few} {_overtaken(table, evidence, folds)}{surer}"
    if (verdicts == UNTESTED).any():
        return why_no_test(evidence)
    better, tied = int((verdicts == BETTER).sum()), int((verdicts == TIED).sum())
    if better:
        who, which = _count(better, "other finalist"), "all" if folds else "the test"
        return (
            f"{who} {'is' if better == 1 else 'are'} better on {which} images, so the choice was not the best one."
            f" {surer}"
        )
    if not tied:
        return f"It is surely better than {_all(len(others))} (at the 5 % level)."
    unsure = f"It is not sure that it is better than {_of(tied, len(others))}."
    return f"{unsure} {_overtaken(table, evidence, folds)}{_needed(table, pairs, evidence, folds)}{surer}"


def _ahead(table: "pd.DataFrame", evidence: "Evidence") -> "pd.Series[Any] | None":
    """The row of the finalist with the best value on the images of `table`; None where that is the choice."""
    metric = evidence.metric
    own = float(table["test_value"].iloc[0])
    better = table[[metric.better(float(value), own) for value in table["test_value"]]]
    return better.iloc[int(better["test_value"].map(metric.cost).argmin())] if len(better) else None


def _overtaken(table: "pd.DataFrame", evidence: "Evidence", folds: bool) -> str:
    """Why the choice stands though a finalist has a better value on the images of `table`; empty where none has."""
    metric, other = evidence.metric, _ahead(table, evidence)
    if other is None:
        return ""
    both = (other["test_value"], table["test_value"].iloc[0])
    value, mine = (f"{one:.3f}" if metric.minimised else percent(one) for one in both)
    which = "these images" if folds else "the test images"
    why = "" if folds else "; the choice is made without these images, so that they can measure it"
    better_by = f"a better {metric.title} ({value} against {mine})"
    return f"On {which} {other['label']} has {better_by}. That may be chance{why}. "


def _needed(table: "pd.DataFrame", pairs: "pd.DataFrame", evidence: "Evidence", folds: bool) -> str:
    """How many groups would tell the choice from the finalist that is ahead of it, or else from the next one."""
    import pandas as pd

    ahead = _ahead(table, evidence)
    other = table.iloc[1] if ahead is None else ahead
    own = (pairs["metric"] == evidence.metric.name) & (pairs["first"] == table["key"].iloc[0])
    asked = pairs[own & (pairs["second"] == other["key"])]
    if not len(asked):
        return ""
    needed = asked.iloc[0]["groups_needed"]
    if pd.isna(needed) or int(needed) <= evidence.judges:
        return ""
    many = int(needed) > MANY_TIMES * evidence.judges
    count = f"More than {MANY_TIMES * evidence.judges:,}" if many else f"About {int(needed):,}"
    return (
        f"{count} {'' if folds else 'test '}{evidence.unit}s would tell it from"
        f" {other['label'] if ahead is None else 'that one'}; there are {evidence.judges:,}. "
    )


def _surer(evidence: "Evidence", folds: bool) -> str:
    """What a person can do for a surer answer."""
    if folds:
        return "More photographs make it surer."
    split = evidence.runs[0].split()
    every = split["group"].nunique() if evidence.grouped else len(split)
    return (
        f"More photographs make it surer, and so does tuner compare RUN --folds 5, in which all"
        f" {every:,} {evidence.unit}s judge."
    )


def _all(others: int) -> str:
    return "the other finalist" if others == 1 else f"all {others} other finalists"


def _of(some: int, others: int) -> str:
    if others == 1:
        return "the other finalist"
    return f"all {others} others" if some == others else f"{some} of the {others} others"


def _count(number: int, thing: str) -> str:
    """A number of things in words.

    >>> _count(1, "group"), _count(3, "test image")
    ('1 group', '3 test images')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
