"""The section of the report on the images that judged the best trials, by models that had not seen them."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainables.metrics import METRICS
from tuner.html.page import section, table
from tuner.runs.directory import Run, rows_of

__all__ = ["judged_rows", "judged_section"]

HEADER = ["trial", "images", "groups", "on these images", "expected", "standard error", "verdict"]


def judged_section(runs: Sequence[Run]) -> list[str]:
    """A section with the table of each run whose best trials other folds judged; none if no run has one."""
    parts = []
    for run in runs:
        judged = run.judged()
        if judged is None:
            continue
        rows = rows_of(judged)
        title = METRICS[str(run.record["metric"])].title
        caption = (
            f"{title} of the best trials on training and validation images, each answered by a model that has not seen"
            " its group"
        )
        parts.append(table(HEADER, judged_rows(rows), caption))
    if not parts:
        return []
    note = (
        '<p class="note">The validation images alone are few, and the best of many trials on them is partly luck.'
        " So the best trials were trained again on other folds until every image had judged. The expected value is"
        " corrected for this luck. The test images had no part.</p>"
    )
    return [section("How many images judged", *parts, note)]


def judged_rows(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Cells of the table, one row a trial, the chosen one first."""
    cells = []
    for row in rows:
        error = row["error"]
        words = ["chosen"] if row["chosen"] else []
        if row["trial_id"] == "ensemble":
            words = ["perhaps better than the chosen trial alone"]
        elif row["votes"]:
            words.append(f"{row['votes']} of the ensemble's votes")
        cells.append(
            [
                str(row["trial_id"]),
                f"{row['images']:,}",
                f"{row['groups']:,}",
                f"{row['value']:.4f}",
                f"{row['expected']:.4f}",
                "" if error is None or error != error else f"{error:.4f}",
                ", ".join(words),
            ]
        )
    return cells
