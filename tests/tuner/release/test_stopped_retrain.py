"""Retraining, for real: stopped by SIGTERM and gone on with."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from test_retrain import make_best

from tuner.release.folder import verify

pytestmark = [pytest.mark.ray, pytest.mark.slow]


class Retraining:
    """`tuner retrain` of two seeds, one after the other, in a process of its own."""

    def __init__(self, folder):
        self.out = folder / "out.txt"
        command = [
            "retrain",
            "best.yaml",
            "--seeds",
            "2",
            "--epochs",
            "10",
            "--concurrent",
            "1",
            "--no-calibration",
            "--formats",
            "onnx",
        ]
        environment = {**os.environ, "TUNER_CACHE_DIR": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}
        with self.out.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tuner", *command], cwd=folder, stdout=log, stderr=log, env=environment
            )

    def said(self):
        return self.out.read_text(encoding="utf-8")

    def until(self, words):
        deadline = time.monotonic() + 600
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)


@pytest.fixture
def start(tmp_path):
    started = []

    def retrain():
        started.append(Retraining(tmp_path))
        return started[-1]

    yield retrain
    for one in started:
        one.process.kill()
        one.process.wait()


def test_a_retrain_that_is_stopped_keeps_its_seeds_and_the_same_command_goes_on(tmp_path, start):
    make_best(tmp_path)
    first = start()
    first.until("(1 of 2 done)")
    family = psutil.Process(first.process.pid).children(recursive=True)
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(120) == 130, first.said()
    assert f"1 of 2 trained models are kept in {tmp_path}/.model.unfinished" in first.said()
    assert "Traceback" not in first.said()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    second = start()
    assert second.process.wait(600) == 0, second.said()
    assert "1 of 2 trained models are kept from before; 1 to train" in second.said()
    verify(tmp_path / "model")
    assert not list(tmp_path.glob(".model*"))
