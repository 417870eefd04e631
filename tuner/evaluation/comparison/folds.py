"""Every image as a judge: the finalists' answers out of fold, their table, and what they say beside the test set."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.temperature import calibrated
from trainables.wording import some
from tuner.evaluation.comparison.conclusion import conclude, in_words, percent
from tuner.evaluation.comparison.ensemble import ensemble_logits
from tuner.evaluation.comparison.evidence import Evidence, FoldsFound
from tuner.evaluation.comparison.judging import judge
from tuner.evaluation.comparison.table import ends, gap, gap_ends, main_rows
from tuner.html.escaping import for_html
from tuner.html.page import bullets, section
from tuner.html.page import table as html_table
from tuner.statistics.intervals import FloatArray
from tuner.statistics.metric_intervals import metric_interval
from tuner.statistics.metric_tests import metric_test
from tuner.statistics.scores import score_intervals

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NESTED", "OutOfFold", "folds_section", "judge_folds"]

NESTED = "the search itself"
"""Key of the answers that the winners of searches inside the folds give."""


@dataclass(frozen=True)
class OutOfFold:
    """Answers to all images [n], each by a model that trained on the other folds only.

    `labels` are class numbers; `logits` [n, classes] go by the finalist's key; a finalist of which a fold diverged is
    missing. `nested` are those of the winner of a search inside each fold, where one was made; `nested_lost` says that
    one was, and that a winner diverged.
    """

    count: int
    paths: tuple[str, ...]
    groups: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    logits: Mapping[str, FloatArray]
    nested: FloatArray | None = None
    nested_lost: bool = False


def judge_folds(answers: OutOfFold, on_test: "pd.DataFrame", evidence: Evidence, seed: int = 0) -> FoldsFound:
    """Judge the finalists by their answers out of fold; `on_test` is their table on the test images alone."""
    logits = dict(answers.logits)
    for one in evidence.finalists:
        if one.members and set(one.members) <= set(logits):
            logits[one.key] = ensemble_logits(one.members, logits)
    answered = {key: calibrated(one, answers.labels, answers.groups) for key, one in logits.items()}
    own = replace(
        evidence,
        finalists=tuple(one for one in evidence.finalists if one.key in logits),
        paths=answers.paths,
        groups=answers.groups,
        labels=answers.labels,
        logits=answered,
        temperatures={},
    )
    same_first = own.finalists[0].key == evidence.finalists[0].key
    own = own if same_first else replace(own, chosen_by=None)
    table, pairs = judge(own, seed)
    remarks = [*_left_out(own, evidence), _widths(table, on_test, answers.count), _estimates(answers.count)]
    if answers.nested is not None:
        remarks.append(_flattery(own, answers.nested, seed))
    elif answers.nested_lost:
        remarks.append(
            "The winner of a search inside a fold diverged when it was trained on all other folds, so it is not known"
            " by how much the finalists' scores are too good."
        )
    else:
        remarks.append(
            "The finalists were chosen with a part of these images, so their scores are a little too good:"
            " --nested measures by how much."
        )
    among = "" if same_first else "Of the finalists that trained in every fold, "
    sentences = conclude(table, pairs, own, out_of_fold=True, among=among)
    return FoldsFound(answers.count, table, pairs, sentences, tuple(remarks), own)


def _left_out(own: Evidence, evidence: Evidence) -> list[str]:
    """A sentence on the finalists that not every fold could answer; none if all are there."""
    lost = [one.label for one in evidence.finalists if one.key not in own.logits]
    if not lost:
        return []
    return [f"Left out, since a fold of {'it' if len(lost) == 1 else 'them'} diverged: {some(lost)}."]


def _widths(table: "pd.DataFrame", on_test: "pd.DataFrame", count: int) -> str:
    """How wide the first finalist's interval is by all images and by the test images."""
    best = table.iloc[0]
    alone = on_test[on_test["key"] == best["key"]].iloc[0]
    ours, theirs = (row["test_accuracy_high"] - row["test_accuracy_low"] for row in (best, alone))
    return (
        f"With every image as a judge the 95 % interval of {best['label']}'s accuracy is {100 * ours:.1f} points wide,"
        f" with the test images alone {100 * theirs:.1f}."
    )


def _estimates(count: int) -> str:
    return (
        f"Each finalist was trained {count} times, each time on all images but one fold, as long as in the search; the"
        " fold's images were then answered by a model that had seen none of their groups. That estimates the score of"
        f" the configuration when it is trained on {100 * (count - 1) / count:.0f} % of the images, not of one trained"
        " model."
    )


def _flattery(evidence: Evidence, nested: FloatArray, seed: int) -> str:
    """The search's own estimate, and by how much the chosen finalist's exceeds it.

    A probe that chose the run's backbones is a part of the search: each fold has its own.
    """
    metric, best = evidence.metric, evidence.finalists[0]
    ours = evidence.answers(best.key)
    theirs = replace(ours, logits=calibrated(nested, ours.labels, evidence.groups))
    found = metric_test(metric, ours, theirs, evidence.groups, seed=seed)
    right = float((theirs.predicted == theirs.labels).mean())
    sure = score_intervals(theirs.labels, theirs.logits, evidence.groups, seed=seed)
    own = metric_interval(metric, theirs, evidence.groups, sure, seed=seed)
    of_own = "" if own is None else f" (95 % interval {ends(metric, own.low, own.high)})"
    unit = "" if metric.minimised else " points"
    included = "" if evidence.runs[0].probe() is None else "the probe of backbones included, "
    reached = in_words(metric, metric.compute(theirs))
    reach = gap_ends(metric, found.interval.low, found.interval.high)
    sure_of_it = f" (95 % interval {reach})" if reach else ", without an interval: a class has a single group"
    return (
        f"Repeated inside every fold, {included}the search itself reaches {reached}{of_own} and"
        f" gets {percent(right)} right (95 % interval {percent(sure.accuracy.low)} to"
        f" {percent(sure.accuracy.high)}): no image was used to choose the model that answered it. {best.label} minus"
        f" that is {gap(metric, found.difference)}{unit} in {metric.title}{sure_of_it}."
    )


def folds_section(found: FoldsFound | None) -> list[str]:
    """The page's section; empty where there were no folds."""
    if found is None:
        return []
    header, rows = main_rows(found.table, "out-of-fold")
    remarks = "".join(f'<p class="note">{for_html(text)}</p>' for text in found.remarks)
    return [
        section(
            "Every image as a judge",
            f"<p>{for_html(found.sentences[0])}</p>",
            bullets(found.sentences[1:]),
            html_table(header, rows, f"Finalists in {found.count} folds over all images"),
            remarks,
        )
    ]
