"""Searches that are killed or interrupted, and go on. TUNER_KILLS says how often (the suite: 2; a release: 20)."""

import os
import random
import shutil
import signal
import time

import pandas as pd
import psutil
import pytest
from command import tuner
from searches import EPOCHS, SAMPLES, TIMES, WITH_PRIOR, check_whole
from tiny import write_space

from trainables.errors import RunProblem
from tuner.runs.directory import Run
from tuner.runs.journal import load_study
from tuner.tracking.status import read_status
from tuner.tuning.resume import resume

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("two_cores")]

KILLS = int(os.environ.get("TUNER_KILLS", "2"))


def start(folder, pictures, name):
    """A `tuner run` of the search that `finished` is, in a process of its own."""
    options = {
        "space": write_space(folder, WITH_PRIOR),
        "data": pictures,
        "weights": "none",
        "image-size": 32,
        "samples": SAMPLES,
        "max-epochs": EPOCHS,
        "runs-dir": folder,
        "name": name,
        "split": "0.6,0.2,0.2",
        "concurrent": 1,
        "precision": "fp32",
    }
    # What survives does not depend on Ray's dashboard, whose dozen processes start with every Ray.
    return tuner(
        "run", "--no-dashboard", *(word for name, value in options.items() for word in (f"--{name}", value))
    )


def epochs_of(run):
    return len(run.epochs()) if (run.path / "epochs").exists() else 0


def until_epochs(run, process, number):
    """Wait until so many epochs are recorded; whether the search still runs then."""
    deadline = time.monotonic() + 120
    while epochs_of(run) < number and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process.poll() is None


def family_of(process):
    return psutil.Process(process.pid).children(recursive=True)


def still_running(family, seconds):
    """What still runs of `family` after so many seconds."""
    _, alive = psutil.wait_procs(family, timeout=seconds)
    # A zombie has ended; it waits for a parent, which may be the machine's own, to notice.
    return [one.name() for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def assert_like(run, whole):
    check_whole(run)
    pd.testing.assert_frame_equal(
        run.trials().drop(columns="seconds"), whole.trials().drop(columns="seconds")
    )
    pd.testing.assert_frame_equal(run.epochs().drop(columns=TIMES), whole.epochs().drop(columns=TIMES))


@pytest.fixture(scope="module")
def left_behind():
    """Processes of killed drivers, which are to end by themselves: looked for when the other tests are through."""
    processes = []
    yield processes
    # Ray's own agents try for a minute to tell the dead server of the end of their raylet.
    assert still_running(processes, 100) == []


def test_a_driver_killed_again_and_again_ends_with_the_table_of_an_undisturbed_run(
    tmp_path, pictures, finished, left_behind
):
    moments, run = random.Random(7), Run(tmp_path / "killed")
    ended = {}
    for kill in range(KILLS):
        fresh = not (run.path / "run.yaml").exists()
        if fresh:
            shutil.rmtree(run.path, ignore_errors=True)
        process = start(tmp_path, pictures, "killed") if fresh else tuner("resume", run.path)
        # Every other time after an epoch, anywhere within the next ones; else wherever it is by then.
        by_epoch = kill % 2 == 0
        if by_epoch and not until_epochs(run, process, epochs_of(run) + 1):
            break
        time.sleep(moments.uniform(0.0, 1.0) if by_epoch else moments.uniform(2.0, 10.0))
        if process.poll() is not None:
            break
        # A Ray that lost its driver is left to notice by itself.
        left_behind += family_of(process)
        process.kill()
        process.communicate()
        assert not by_epoch or read_status(run.path).state == "dead"
        for row in (run.trials() if run.path.exists() else pd.DataFrame()).to_dict("records"):
            assert ended.setdefault(row["trial_id"], row["value"]) == row["value"]
    assert left_behind
    last = tuner("resume", run.path)
    output, _ = last.communicate(timeout=300)
    assert last.returncode == 0, output
    assert_like(run, finished.run)
    assert ended.keys() <= set(run.trials()["trial_id"])
    assert run.trials()["source"].tolist() == ["tpe", "prior", "tpe", "prior", "tpe"]


def interrupted(process, family, seconds=0):
    """The words of a search that was told to end; checks that all of it has, so many seconds after it."""
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert still_running(family, seconds) == []
    return output


def test_a_search_that_is_signalled_can_be_resumed_and_ends_with_the_table_of_an_undisturbed_run(
    tmp_path, pictures, finished
):
    run = Run(tmp_path / "signalled")
    process = start(tmp_path, pictures, "signalled")
    # The first trial is frozen, and quicker than a signal; an epoch of the second one takes a while.
    assert until_epochs(run, process, EPOCHS + 1), process.communicate()[0]
    family, before = family_of(process), epochs_of(run)
    process.send_signal(signal.SIGTERM)
    assert f"tuner resume {run.path}" in interrupted(process, family)
    assert epochs_of(run) <= before + 2
    assert read_status(run.path).state == "interrupted"
    for trial in load_study(run.journal).trials:
        # The signal may come between two trials: one that has trained is left with its state.
        trial_id = trial.user_attrs["trial_id"]
        if not trial.state.is_finished() and len(run.epochs(trial_id)):
            assert (run.alive(trial_id) / "state.pt").exists()

    process = tuner("resume", run.path)
    assert until_epochs(run, process, epochs_of(run) + 1), process.communicate()[0]
    family = family_of(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    # The second one ends it at once.
    process.send_signal(signal.SIGINT)
    interrupted(process, family, 2)

    again = tuner("resume", run.path)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert_like(run, finished.run)


def test_a_resume_with_changed_images_is_refused(tmp_path, finished):
    run = Run(shutil.copytree(finished.run.path, tmp_path / "changed"))
    record = run.record
    images = shutil.copytree(record["data"]["folder"], tmp_path / "pictures")
    run.update_record(data={**record["data"], "folder": str(images)})
    split = run.split()
    (images / split.loc[split["split"] == "train", "path"].iloc[0]).unlink()
    with pytest.raises(RunProblem, match="changed or is gone"):
        resume(run.path, samples=1)


def test_a_resume_with_other_versions_is_refused(tmp_path, finished):
    run = Run(shutil.copytree(finished.run.path, tmp_path / "older"))
    run.update_record(versions={**run.record["versions"], "torch": "1.0.0"})
    with pytest.raises(RunProblem, match=r"torch was 1\.0\.0 and is"):
        resume(run.path)
