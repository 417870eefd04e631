"""Searches in processes of their own, what ends them from outside, and whether all that they left is whole."""

import signal
import time

import psutil
from optuna.trial import TrialState

from tuner.runs.journal import load_study
from tuner.tracking.status import read_status

_known = {}
"""Of each run its files of epochs, and how many epochs they held: reading them takes longer than looking at them."""


def epochs_of(run):
    """How many epochs the tables of a run hold; it may not have begun."""
    folder = run.path / "epochs"
    if not folder.exists():
        return 0
    try:
        files = [(file.name, file.stat().st_mtime_ns) for file in folder.iterdir()]
    except FileNotFoundError:  # a part is being replaced
        files = None
    if files is None or _known.get(run.path, (None, 0))[0] != files:
        _known[run.path] = files, len(run.epochs())
    return _known[run.path][1]


def wait_for_epoch(run, process, more=1):
    """Wait until so many epochs are written that were not there before; how many there are."""
    before, deadline = epochs_of(run), time.monotonic() + 300
    while epochs_of(run) < before + more:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return epochs_of(run)


def family(process):
    """Whatever a process started."""
    return psutil.Process(process.pid).children(recursive=True)


def left(processes, seconds):
    """The names of those that still run after so long."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    # A zombie has ended; it waits for a parent, which may be the machine's own, to notice.
    return [one.name() for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def kill(process):
    """SIGKILL for the driver; its Ray is left to notice by itself. What it had started."""
    children = family(process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return children


def interrupted(run, process, number):
    """Wait for a new epoch, send the signal, and see everything end readable; how many epochs there were then."""
    before = wait_for_epoch(run, process)
    children = family(process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert f"tuner resume {run.path}" in output
    assert left(children, 20) == []
    assert read_status(run.path).state == "interrupted"
    for trial in load_study(run.journal).trials:
        # The signal may come between two trials: one that has trained is left with its state.
        trial_id = trial.user_attrs["trial_id"]
        if not trial.state.is_finished() and len(run.epochs(trial_id)):
            assert (run.alive(trial_id) / "state.pt").exists()
    return before


def check_whole(run, samples, cut=()):
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
        # Of three or four epochs' trials the rungs stand at 1 and 2; what is frozen spends nothing, and reaches none.
        best = dict(zip(part["epoch"], part["val_loss"].cummin(), strict=True))
        frozen = row["strategy"] == "feature_extractor"
        assert trial.intermediate_values == {e: best[e] for e in (1, 2) if e in best and not frozen}
    assert sorted(folder.name for folder in (run.path / "alive").iterdir()) == sorted(cut)
    assert not list(run.path.rglob("*.tmp"))
