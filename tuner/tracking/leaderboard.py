"""The table of a run from its directory, finished or running, and the words at its end."""

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from trainables.metrics import METRICS
from tuner.console.reporter import leaderboard_table, probed_words, sampled
from tuner.runs.directory import Run, rows_of
from tuner.runs.ensemble import ENSEMBLE
from tuner.runs.judged import judged_now
from tuner.runs.trial_table import BUDGET_OVER

__all__ = ["by_all", "cut_words", "judged_words", "leaderboard", "remarks"]

CHOICE = (
    "each image was answered by models that had not seen its group; expected is what these answers say, without the"
    " luck of the best of several, ± the standard error. Different numbers can be chance, too: of the trials whose"
    " difference to the best may be chance, the one with the quickest network is chosen, and one with a better number"
    " is marked 'perhaps better'. A trial with a vote takes part in the ensemble"
)
"""What stands below the table where all images judged the best trials by the log loss."""

OTHERWISE = (
    "each image was answered by models that had not seen its group; expected is the metric of these answers, and the"
    " trial with the best one is chosen. A trial with a vote takes part in the ensemble"
)
"""The same where they judged by another metric, from which no luck is taken off."""


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
    return Group(Text(head), *map(Text, remarks(record)), table, *map(Text, judged_words(run, rows)))


def by_all(run: Run, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The `rows`; where all images judged the best trials, each says by how many images it is expected to be what.

    The ensemble that is better than the chosen trial is a row, too.
    """
    known = judged_now(run, rows)
    if not known:
        return rows
    own = next(one["expected"] for one in known.values() if one["chosen"])
    metric, fewer = METRICS[str(run.record["metric"])], int((run.split()["split"] == "val").sum())
    found = []
    for row in rows:
        one = known.get(str(row["trial_id"]))
        if one is None or one["epoch"] != row["best_epoch"] or one["expected"] != one["expected"]:
            found.append({**row, "judged": fewer, "note": ""})
            continue
        note = "chosen" if one["chosen"] else ""
        if not note and metric.better(one["expected"], own):
            note = "perhaps better"
        if one["votes"]:
            note += f"{', ' if note else ''}{_votes(one['votes'])}"
        found.append(row | _judged(one, note))
    return [*found, *(_ensemble(one, known) for name, one in known.items() if name == ENSEMBLE)]


def _judged(one: dict[str, Any], note: str) -> dict[str, Any]:
    found = {"estimate": one["expected"], "estimate_error": one["error"], "judged": one["images"]}
    return found | {"chosen": one["chosen"], "note": note}


def _ensemble(one: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The row of the average of trials."""
    members = sum(other["votes"] > 0 for name, other in known.items() if name != ENSEMBLE)
    nothing = {"value": None, "best_epoch": None, "epochs": 0, "status": "-", "source": "-"}
    row = {"trial_id": f"ensemble (average of {members})", **nothing}
    return row | _judged(one, "perhaps better")


def cut_words(count: int) -> str:
    """That so many trials can go on after a time budget."""
    return f"{count} {'trial was' if count == 1 else 'trials were'} cut by the time budget and can go on"


def judged_words(run: Run, rows: list[dict[str, Any]]) -> list[str]:
    """What is to be expected of the chosen trial of `rows`, and what that means; nothing where no images judged."""
    one = next((one for one in judged_now(run, rows).values() if one["chosen"]), None)
    if one is None:
        return []
    metric, name, count = METRICS[str(run.record["metric"])], one["trial_id"], one["images"]
    value = f"{metric.title} {one['expected']:.4f}"
    if one["error"] is None or one["error"] != one["error"]:
        return [OTHERWISE, f"chosen: {name}; {value} on {count} images that its models had not seen"]
    return [
        CHOICE,
        f"chosen: {name}, by {count} images; {value} ± {one['error']:.4f} is expected on new images",
    ]


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
