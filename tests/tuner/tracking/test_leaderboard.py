"""The table of a run and what stands below it."""

import pandas as pd
import pytest
from fake_run import make_run
from rich.console import Console

from tuner.runs.directory import rows_of
from tuner.tracking.leaderboard import judged_words, leaderboard


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def shown(run):
    console = Console(width=220)
    with console.capture() as captured:
        console.print(leaderboard(run.path, 20))
    return captured.get()


def judge(run, expected):
    row = next(row for row in rows_of(run.trials()) if row["status"] == "completed")
    common = {"images": 60, "value": expected, "expected": expected, "error": 0.0125, "groups": 15}
    table = [
        {"trial_id": row["trial_id"], "epoch": row["best_epoch"], "chosen": True, "votes": 1, **common},
        {"trial_id": "ensemble", "epoch": 0, "chosen": False, "votes": 2, **common},
    ]
    pd.DataFrame(table).to_parquet(run.judged_file)
    return str(row["trial_id"])


def test_without_a_judgement_nothing_is_said_of_one(run):
    assert judged_words(run) == []
    assert "judged" not in shown(run)


def test_a_trial_that_all_images_judged_expects_what_they_say_and_is_named_as_the_choice(run):
    name = judge(run, 0.4321)
    text = shown(run)
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    assert line.split()[1] == "0.4321"
    assert f"chosen: {name}, by 60 images that its models had not seen" in text
    assert "expected 0.4321 ± 0.0125, 1 vote in the ensemble" in text
    assert "± is the standard error" in text
    assert text.index("chosen:") < text.index(
        "better than the chosen one alone: the average of 1 of them (ensemble)"
    )


def test_a_better_number_than_that_of_the_choice_is_called_a_lead_that_may_be_luck(run):
    judge(run, 0.4321)
    table = run.judged()
    better = table.iloc[:1].assign(trial_id="another", chosen=False, expected=0.4, votes=0)
    pd.concat([table, better]).to_parquet(run.judged_file)
    assert "also judged, its lead may be luck: another," in shown(run)


def test_trials_that_a_time_budget_kept_from_beginning_are_counted(run):
    run.update_record(never_begun=9, finished=None)
    assert "time budget" not in shown(run)
    run.update_record(finished="2026-01-01T00:00:00+0000")
    wanted = run.record["settings"]["samples"]
    assert f"the time budget left no room for 9 of {wanted} trials" in shown(run)
