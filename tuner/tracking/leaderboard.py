"""The table of a run from its directory, finished or running, and the words at its end."""

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from trainables.metrics import METRICS
from tuner.console.reporter import leaderboard_table, probed_words, sampled
from tuner.runs.directory import Run, rows_of
from tuner.runs.trial_table import BUDGET_OVER

__all__ = ["by_all", "cut_words", "judged_words", "leaderboard", "remarks"]

BY_ALL = (
    "the images judged the best trials: each was answered by models that had not seen its group, and their scores were"
    " divided by a temperature that other images gave. Of trials whose difference may be luck the one with the quickest"
    " network is chosen. ± is the standard error:"
)
"""What stands above the trials that all images judged."""


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
    table = leaderboard_table(by_all(run, rows), record["metric"], most)
    return Group(Text(head), *map(Text, remarks(record)), table, *map(Text, judged_words(run)))


def by_all(run: Run, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The `rows`; those of trials that all images judged expect what these images say."""
    table = run.judged()
    known = {} if table is None else {str(one["trial_id"]): one for one in rows_of(table)}
    judged = {key: one for key, one in known.items() if one["expected"] == one["expected"]}
    return [
        row | {"estimate": judged[row["trial_id"]]["expected"]}
        if row["trial_id"] in judged and judged[row["trial_id"]]["epoch"] == row["best_epoch"]
        else row
        for row in rows
    ]


def cut_words(count: int) -> str:
    """That so many trials can go on after a time budget."""
    return f"{count} {'trial was' if count == 1 else 'trials were'} cut by the time budget and can go on"


def judged_words(run: "Run") -> list[str]:
    """How many images judged the best trials, and what is to be expected of the chosen one; nothing where none did."""
    table = run.judged()
    if table is None:
        return []
    metric, lines, rows = METRICS[str(run.record["metric"])], [BY_ALL], rows_of(table)
    own = next((row["expected"] for row in rows if row["chosen"]), None)
    for row in rows:
        what = "chosen" if row["chosen"] else "also judged"
        if own is not None and not row["chosen"] and metric.better(row["expected"], own):
            what = "also judged, its lead may be luck"
        error = "" if row["error"] is None or row["error"] != row["error"] else f" ± {row['error']:.4f}"
        name, taken = row["trial_id"], f", {_votes(row['votes'])} in the ensemble" if row["votes"] else ""
        if name == "ensemble":
            what, taken = "better than the chosen one alone", ""
            name = f"the average of {sum(one['votes'] > 0 for one in rows) - 1} of them (ensemble)"
        value = f"{metric.title} {row['value']:.4f}"
        lines.append(
            f"{what}: {name}, by {row['images']} images that its models had not seen: {value};"
            f" expected {row['expected']:.4f}{error}{taken}"
        )
    return lines


def _votes(count: int) -> str:
    return f"{count} vote{'s' * (count > 1)}"


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
    if (late := record.get("never_begun")) and record.get("finished"):
        wanted = record["settings"]["samples"]
        found.append(f"the time budget left no room for {late} of {wanted} trials")
    if left_out := record["data"].get("left_out"):
        found.append(f"{len(left_out)} images are left out, as {record['data']['without']} says")
    return found
