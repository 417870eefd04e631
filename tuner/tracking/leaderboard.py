"""The table of a run from its directory, finished or running, and the words at its end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from tuner.console.reporter import leaderboard_table, probed_words, sampled
from tuner.runs.directory import Run, rows_of
from tuner.runs.trial_table import BUDGET_OVER

if TYPE_CHECKING:
    pass


def leaderboard(path: Path, most: int) -> RenderableType:
    """The best `most` trials of the run at `path`; raises RunProblem if there is none."""
    run = Run.open(path)
    record = run.record
    rows = rows_of(run.trials())
    cut = sum(row["reason"] == BUDGET_OVER for row in rows)
    ended = sampled(rows)
    head = f"{run.path.name}: {len(ended) - cut} of {record['settings']['samples']} trials ended"
    head += f", {cut_words(cut)}" if cut else ""
    head += probed_words(len(rows) - len(ended))
    return Group(Text(head), *map(Text, remarks(record)), leaderboard_table(rows, record["metric"], most))


def cut_words(count: int) -> str:
    """That so many trials can go on after a time budget."""
    return f"{count} {'trial was' if count == 1 else 'trials were'} cut by the time budget and can go on"


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
    if record["data"].get("groups_from_similar"):
        found.append(
            "tuner proposed the groups from similar pictures (--groups-from-similar); no person gave them"
        )
    if left_out := record["data"].get("left_out"):
        found.append(f"{len(left_out)} images are left out, as {record['data']['without']} says")
    return found
