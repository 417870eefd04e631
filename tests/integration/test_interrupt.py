"""Signals and stop requests, for real: a search in a process of its own, interrupted in the middle of an epoch."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from pictures import write_pictures

from tuner.runs.directory import Run
from tuner.runs.journal import load_study
from tuner.tracking.status import read_status

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = '''"""Long enough to be interrupted."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"model": "mobilenet_v2", "strategy": "full", "batch_size": 4, "patience": 0}
'''
EPOCHS = 60


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupt") / "pictures"
    write_pictures(folder, {"blue": 20, "green": 20, "red": 20})
    return folder


class Search:
    """A `tuner run` in a process of its own, with whatever it starts."""

    def __init__(self, folder, images):
        space = folder / "long.py"
        space.write_text(SPACE, encoding="utf-8")
        self.run = Run(folder / "runs" / "r")
        self._log = (folder / "out.txt").open("w+", encoding="utf-8")
        command = ["run", "--space", str(space), "--data", str(images), "--name", "r"]
        command += ["--runs-dir", str(folder / "runs"), "--weights", "none", "--image-size", "64"]
        command += [
            "--samples",
            "1",
            "--max-epochs",
            str(EPOCHS),
            "--grace-period",
            str(EPOCHS),
            "--no-dashboard",
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNER_CACHE_DIR": str(folder / "cache")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tuner", *command], stdout=self._log, stderr=self._log, env=environment
        )
        self.family = {}

    def until_epoch(self, number):
        """Wait until the trial has finished epoch `number`."""
        deadline = time.monotonic() + 120
        while not self.run.path.exists() or self.epochs() < number:
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)
        for child in psutil.Process(self.process.pid).children(recursive=True):
            self.family[child.pid] = child

    def epochs(self):
        return len(self.run.epochs()) if (self.run.path / "epochs").exists() else 0

    def output(self):
        self._log.seek(0)
        return self._log.read()

    def left(self, seconds):
        """What still runs of all that the search started, `seconds` after its end."""
        _, alive = psutil.wait_procs(list(self.family.values()), timeout=seconds)
        # A zombie has ended; it waits for a parent, which may be the machine's own, to notice.
        return [one.name() for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    def close(self):
        for one in self.family.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture
def search(tmp_path, images):
    started = Search(tmp_path, images)
    yield started
    started.close()


@pytest.fixture(scope="module", autouse=True)
def killed(tmp_path_factory, images):
    """A search whose driver was killed at once: what it leaves behind is looked at last, since Ray takes its time."""
    started = Search(tmp_path_factory.mktemp("killed"), images)
    started.until_epoch(1)
    started.process.kill()
    started.process.wait()
    yield started
    started.close()


def test_a_first_signal_ends_a_search_within_an_epoch_and_it_can_be_resumed(search):
    """SIGTERM, as a cluster sends it; `test_search.py` interrupts and goes on."""
    search.until_epoch(2)
    before = search.epochs()
    search.process.send_signal(signal.SIGTERM)
    assert search.process.wait(60) == 130, search.output()
    assert search.epochs() <= before + 2
    assert search.left(0) == []
    assert f"tuner resume {search.run.path}" in search.output()
    [trial] = load_study(search.run.journal).get_trials()
    assert trial.state.name == "RUNNING"
    assert (search.run.alive(trial.user_attrs["trial_id"]) / "state.pt").exists()
    assert read_status(search.run.path).state == "interrupted"


def test_a_second_signal_ends_it_at_once_and_leaves_nothing_running(search):
    search.until_epoch(1)
    search.process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    search.process.send_signal(signal.SIGINT)
    assert search.process.wait(20) == 130
    assert search.left(2) == []


def test_a_stop_request_in_the_run_directory_ends_it_like_a_signal(search):
    search.until_epoch(1)
    asked = subprocess.run(
        [sys.executable, "-m", "tuner", "stop", str(search.run.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "tuner resume" in asked.stdout
    assert search.process.wait(60) == 130, search.output()
    assert search.left(0) == []


def test_a_killed_driver_takes_its_ray_along(killed):
    # Ray's own agents try for a minute to tell the dead server of the end of their raylet.
    assert killed.left(100) == []
    assert read_status(killed.run.path).state == "dead"
