"""Searches that are killed, and go on. TUNER_KILLS says how often (the suite: 3; a release: 20)."""

import os
import random
import shutil
import signal
import time

import pandas as pd
import psutil
import pytest
from command import tuner
from optuna.trial import TrialState
from tiny import SPACE, write_space

from tuner.runs.directory import Run
from tuner.runs.journal import load_study
from tuner.runs.trial_table import BUDGET_OVER

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = int(os.environ.get("TUNER_KILLS", "3"))
SAMPLES = 5
TIMES = ["epoch_seconds", "time"]
ESTIMATES = ["estimate", "estimate_error"]
PRIOR = """

prior = {"learning_rate": {"centre": 1e-3, "width": 0.5}, "strategy": {"full": 2, "feature_extractor": 1}}
"""


def run_arguments(folder, pictures, name, concurrent=1, **more):
    options = {
        "space": write_space(folder, SPACE + PRIOR),
        "data": pictures,
        "weights": "none",
        "image-size": 32,
        "samples": SAMPLES,
        "max-epochs": 4,
        "runs-dir": folder,
        "name": name,
        "split": "0.6,0.2,0.2",
        "concurrent": concurrent,
        "precision": "fp32",
        **more,
    }
    # What survives does not depend on Ray's dashboard, whose dozen processes start with every Ray.
    return [
        "run",
        "--no-dashboard",
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]


def kill_all(process):
    """SIGKILL for the driver; its Ray is left to notice by itself."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return children


def check_whole(run, samples=SAMPLES, cut=()):
    """Nothing torn, lost, doubled or left running but the trials `cut`."""
    table, epochs = run.trials(), run.epochs()
    assert len(table) == samples
    assert table["trial_id"].is_unique
    assert not epochs.duplicated(["trial_id", "epoch"]).any()
    told = load_study(run.journal).trials
    assert len(told) == samples
    running = [trial.user_attrs["trial_id"] for trial in told if trial.state is TrialState.RUNNING]
    assert running == list(cut)
    for trial, (_, row) in zip(told, table.iterrows(), strict=True):
        part = epochs[epochs["trial_id"] == row["trial_id"]]
        # Of four epochs' trials the rungs stand at 1 and 2; what is frozen spends nothing, and reaches none.
        best = dict(zip(part["epoch"], part["val_loss"].cummin(), strict=True))
        frozen = row["strategy"] == "feature_extractor"
        assert trial.intermediate_values == {e: best[e] for e in (1, 2) if e in best and not frozen}
    assert sorted(folder.name for folder in (run.path / "alive").iterdir()) == sorted(cut)
    assert not list(run.path.rglob("*.tmp"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, pictures):
    folder = tmp_path_factory.mktemp("uninterrupted")
    started = time.monotonic()
    process = tuner(*run_arguments(folder, pictures, "whole"))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return Run.open(folder / "whole"), time.monotonic() - started


def test_a_driver_killed_again_and_again_ends_with_the_table_of_an_undisturbed_run(
    tmp_path, pictures, uninterrupted
):
    whole, seconds = uninterrupted
    moments = random.Random(7)
    run = Run(tmp_path / "killed")
    finished = {}
    for kill in range(KILLS):
        fresh = not (run.path / "run.yaml").exists()
        if fresh:
            shutil.rmtree(run.path, ignore_errors=True)
        process = tuner(*(run_arguments(tmp_path, pictures, "killed") if fresh else ("resume", run.path)))
        time.sleep(moments.uniform(0.3, 1.0) * seconds * (1.2 if kill == 0 else 0.9))
        kill_all(process)
        for row in (run.trials() if run.path.exists() else pd.DataFrame()).to_dict("records"):
            known = finished.setdefault(row["trial_id"], row["value"])
            assert known == row["value"]
    last = tuner("resume", run.path)
    output, _ = last.communicate(timeout=300)
    assert last.returncode == 0, output
    check_whole(run)
    assert finished.keys() <= set(run.trials()["trial_id"])
    assert run.trials()["source"].tolist() == ["tpe", "prior", "tpe", "prior", "tpe"]
    pd.testing.assert_frame_equal(
        run.trials().drop(columns="seconds"), whole.trials().drop(columns="seconds")
    )
    pd.testing.assert_frame_equal(run.epochs().drop(columns=TIMES), whole.epochs().drop(columns=TIMES))


def test_a_worker_that_is_killed_is_tried_again_from_its_last_epoch(tmp_path, pictures, uninterrupted):
    run = Run(tmp_path / "worker")
    process = tuner(*run_arguments(tmp_path, pictures, "worker"))
    deadline = time.monotonic() + 120
    killed = False
    while not killed and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
        if not list((run.path / "epochs").glob("*.parquet")):
            continue
        for child in psutil.Process(process.pid).children(recursive=True):
            if "TrialTrainable" in " ".join(child.cmdline()):
                child.send_signal(signal.SIGKILL)
                killed = True
    output, _ = process.communicate(timeout=300)
    assert killed
    assert process.returncode == 0, output
    check_whole(run)
    assert run.trials()["retries"].sum() >= 1
    whole = uninterrupted[0].epochs().drop(columns=TIMES)
    pd.testing.assert_frame_equal(run.epochs().drop(columns=TIMES), whole)


def signalled(run, process, number):
    """Wait for a new epoch, send the signal, and see everything end readable."""
    before, deadline = epochs_of(run), time.monotonic() + 120
    while epochs_of(run) <= before and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert f"tuner resume {run.path}" in output
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    for trial in load_study(run.journal).trials:
        # The signal may come between two trials: one that has trained is left with its state.
        trial_id = trial.user_attrs["trial_id"]
        if not trial.state.is_finished() and len(run.epochs(trial_id)):
            assert (run.alive(trial_id) / "state.pt").exists()


def epochs_of(run):
    return len(run.epochs()) if (run.path / "epochs").exists() else 0


def test_a_signal_ends_a_run_and_a_resume_readable_and_a_last_resume_finishes_it(
    tmp_path, pictures, uninterrupted
):
    run = Run(tmp_path / "signalled")
    signalled(run, tuner(*run_arguments(tmp_path, pictures, "signalled")), signal.SIGINT)
    signalled(run, tuner("resume", run.path), signal.SIGTERM)
    again = tuner("resume", run.path)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    check_whole(run)
    whole = uninterrupted[0].epochs().drop(columns=TIMES)
    pd.testing.assert_frame_equal(run.epochs().drop(columns=TIMES), whole)


def test_trials_can_be_added_to_a_finished_search(tmp_path, pictures, uninterrupted):
    run = Run(tmp_path / "more")
    shutil.copytree(uninterrupted[0].path, run.path)
    process = tuner("resume", run.path, "--samples", 2)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    check_whole(run, SAMPLES + 2)
    table = run.trials()
    assert not table.duplicated(["strategy", "learning_rate"]).any()
    # What a trial may expect is estimated beside all trials, so more of them change it; what was measured stays.
    before = uninterrupted[0].trials().drop(columns=ESTIMATES)
    pd.testing.assert_frame_equal(table.head(SAMPLES).drop(columns=ESTIMATES), before)


def test_a_resume_with_changed_images_is_refused(tmp_path, pictures, uninterrupted):
    images = tmp_path / "pictures"
    shutil.copytree(pictures, images)
    run = Run(tmp_path / "changed")
    shutil.copytree(uninterrupted[0].path, run.path)
    record = run.record
    run.update_record(data={**record["data"], "folder": str(images)})
    split = run.split()
    (images / split.loc[split["split"] == "train", "path"].iloc[0]).unlink()
    process = tuner("resume", run.path, "--samples", 1)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "changed or is gone" in output


def test_a_resume_with_other_versions_is_refused(tmp_path, uninterrupted):
    run = Run(tmp_path / "older")
    shutil.copytree(uninterrupted[0].path, run.path)
    run.update_record(versions={**run.record["versions"], "torch": "1.0.0"})
    process = tuner("resume", run.path)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "torch was 1.0.0 and is" in output


def test_the_time_budget_ends_in_time_with_everything_written(tmp_path, pictures):
    run = Run(tmp_path / "budget")
    process = tuner(*run_arguments(tmp_path, pictures, "budget", **{"samples": 500, "time-budget": "30s"}))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    table = run.trials()
    # Whether a trial was running at that moment is chance; that the search ended before its 500 trials, told the truth
    # and left those that the budget cut to go on, is not.
    assert 1 <= len(table) < 500
    cut = table.loc[table["reason"] == BUDGET_OVER, "trial_id"].tolist()
    check_whole(run, len(table), cut)
    assert all((run.alive(trial_id) / "state.pt").exists() for trial_id in cut)
