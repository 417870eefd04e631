"""The table of a run from its directory, finished or running, and the words at its end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from tuner.results import Run, rows_of
from tuner.show import leaderboard_table

if TYPE_CHECKING:
    from tuner.search import SearchResult


def leaderboard(path: Path, most: int) -> RenderableType:
    """The best `most` trials of the run at `path`; raises RunProblem if there is none."""
    run = Run.open(path)
    record = run.record
    rows = rows_of(run.trials())
    head = f"{run.path.name}: {len(rows)} of {record['settings']['samples']} trials ended"
    return Group(Text(head), *map(Text, remarks(record)), leaderboard_table(rows, record["metric"], most))


def remarks(record: dict[str, Any]) -> list[str]:
    """What a reader of the table has to know about the run."""
    found = []
    if record["data"]["sample"]:
        found.append(
            "sample pictures drawn by tuner, not photographs: the scores say nothing about your images"
        )
    if record["weights"] == "none":
        found.append("random weights: no pretrained weights were used")
    if record["data"]["groups"] is None and record["data"]["group_regex"] is None:
        found.append("split by image, without groups: scores are too good if several images show one object")
    return found


def ending(result: "SearchResult") -> list[RenderableType]:
    """What a person is told when a search ends."""
    run = result.run
    record = run.record
    lines: list[RenderableType] = list(map(Text, remarks(record)))
    rows = rows_of(run.trials())
    if rows:
        lines.append(leaderboard_table(rows, record["metric"], 8))
    failed = sum(row["status"] == "failed" for row in rows)
    if failed:
        lines.append(
            Text(
                f"{failed} trials failed; why: {run.path / 'failures'} and the column error of trials.parquet"
            )
        )
    if result.best is not None:
        best = result.best
        lines.append(
            Text(
                f"best: {best['trial_id']}, {record['metric']} {best['value']:.4f} at epoch {best['best_epoch']}",
                "bold",
            )
        )
    elif not result.interrupted:
        lines.append(Text("no trial finished"))
    lines.append(Text(f"everything is in {run.path}"))
    if result.interrupted:
        lines.append(Text(f"stopped before the end; go on with: tuner resume {run.path}"))
    else:
        lines.append(Text(f"next: tuner compare {run.path}"))
    return lines
