"""The table of a run and what stands below it."""

import pandas as pd
import pytest
from fake_run import make_run
from rich.console import Console

from tuner.runs.directory import rows_of
from tuner.tracking.leaderboard import by_all, judged_words, leaderboard


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def shown(run):
    console = Console(width=220)
    with console.capture() as captured:
        console.print(leaderboard(run.path, 20))
    return captured.get()


def judge(run, expected, error=0.0125):
    row = next(row for row in rows_of(run.trials()) if row["status"] == "completed")
    common = {"images": 60, "value": expected, "expected": expected, "error": error, "groups": 15}
    table = [
        {"trial_id": row["trial_id"], "epoch": row["best_epoch"], "chosen": True, "votes": 1, **common},
        {"trial_id": "ensemble", "epoch": 0, "chosen": False, "votes": 2, **common},
    ]
    pd.DataFrame(table).to_parquet(run.judged_file)
    return str(row["trial_id"])


def test_without_a_judgement_nothing_is_said_of_one(run):
    assert judged_words(run, rows_of(run.trials())) == []
    assert "judged" not in shown(run)


def line_of(name, text):
    """The line of the table that begins with `name`, with single spaces."""
    (line,) = [" ".join(line.split()) for line in text.splitlines() if line.startswith(name)]
    return line


def test_a_trial_that_all_images_judged_expects_what_they_say_and_is_named_as_the_choice(run):
    name = judge(run, 0.4321)
    text = shown(run)
    line = line_of(name, text)
    assert line.startswith(f"{name} 0.4321 ± 0.0125 60 ")
    assert line.endswith("chosen, 1 vote")
    together = line_of("ensemble (average of 1)", text)
    assert together.startswith("ensemble (average of 1) 0.4321 ± 0.0125 60 - ")
    assert together.endswith("perhaps better")
    assert "± the standard error" in " ".join(text.split())
    assert f"chosen: {name}, by 60 images; log loss 0.4321 ± 0.0125 is expected on new images" in text


def test_what_validation_alone_judged_says_by_how_many_images(run):
    name = judge(run, 0.4321)
    few = (run.split()["split"] == "val").sum()
    others = [row for row in rows_of(run.trials()) if row["trial_id"] != name and row["status"] != "failed"]
    best = min(others, key=lambda row: row["value"])
    assert f" {few} {best['value']:.4f}" in line_of(best["trial_id"], shown(run))


def test_a_better_number_than_that_of_the_choice_is_called_luck_perhaps(run):
    judge(run, 0.4321)
    table = run.judged()
    other = next(
        row
        for row in rows_of(run.trials())
        if row["status"] != "failed" and row["trial_id"] not in set(table["trial_id"])
    )
    better = table.iloc[:1].assign(
        trial_id=other["trial_id"], epoch=other["best_epoch"], chosen=False, expected=0.4, votes=0
    )
    pd.concat([table, better]).to_parquet(run.judged_file)
    text = shown(run)
    assert line_of(other["trial_id"], text).endswith("perhaps better")
    # The best number stands first.
    assert text.index(other["trial_id"]) < text.index(str(table["trial_id"].iloc[0]))


def test_a_choice_that_went_on_to_another_epoch_is_none_any_more(run):
    name = judge(run, 0.4321)
    rows = rows_of(run.trials())
    assert judged_words(run, rows)
    for row in rows:
        if row["trial_id"] == name:
            row["best_epoch"] += 1
    assert judged_words(run, rows) == []
    assert by_all(run, rows) == rows


def test_by_another_metric_the_chosen_one_is_shown_and_no_luck_is_spoken_of(run):
    run.update_record(metric="val_accuracy")
    name = judge(run, 0.01, error=None)
    console = Console(width=220)
    with console.capture() as captured:
        console.print(leaderboard(run.path, 3))
    text = captured.get()
    # A value of few validation images is no reason to leave out what all images chose.
    assert line_of(name, text).endswith("chosen, 1 vote")
    assert "ensemble (average of 1)" in text
    assert f"chosen: {name}; accuracy 0.0100 on 60 images that its models had not seen" in text
    assert "luck" not in text


def test_trials_that_a_time_budget_kept_from_beginning_are_counted(run):
    run.update_record(never_begun=9, finished=None)
    assert "time budget" not in shown(run)
    run.update_record(finished="2026-01-01T00:00:00+0000")
    wanted = run.record["settings"]["samples"]
    assert f"the time budget left no room for 9 of {wanted} trials" in shown(run)
