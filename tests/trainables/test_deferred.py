"""What a driver sends to its workers without importing torch."""

import subprocess
import sys

import pytest

from trainables import ray_trainable
from trainables.config import RunContext
from trainables.deferred import DeferredTrial

CONTEXT = RunContext("runs/mine", "cache", ("a", "b"), 32, "none", "fp32", "val_loss", 0, num_threads=1)


def test_a_driver_imports_no_torch_for_trials_and_their_networks():
    asking = (
        "import sys, trainables.deferred, tuner.tuning.ray_tuner; from trainables import models;"
        "[models.source(name) for name in models.names()]; print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True)
    assert told.stdout == "False\n", told.stderr


@pytest.fixture
def heard(monkeypatch):
    """What the trial itself is asked."""
    heard = []

    def noting(name, answer):
        def note(self, *given):
            heard.append((name, *given))
            return answer

        monkeypatch.setattr(ray_trainable.TrialTrainable, name, note)

    noting("setup", None)
    noting("reset_config", True)
    noting("step", {"done": True})
    noting("cleanup", None)
    return heard


def test_everything_is_asked_of_the_trial(heard):
    deferred = DeferredTrial.__new__(DeferredTrial)
    assert repr(deferred) == "DeferredTrial"
    deferred.setup({"trial_id": "t"}, context=CONTEXT)
    assert deferred.reset_config({"trial_id": "u"}) is True
    assert deferred.step() == {"done": True}
    deferred.cleanup()
    assert [name for name, *_ in heard] == ["setup", "reset_config", "step", "cleanup"]
    assert heard[0][1:] == ({"trial_id": "t"}, CONTEXT)
    deferred._trial.context = CONTEXT
    assert repr(deferred) == "mine"
