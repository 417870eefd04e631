"""Who gets which GPU, with GPUs that Ray only believes in."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HERE = Path(__file__).parent


def search(gpus_per_trial, samples, together):
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1])])
    result = subprocess.run(
        [sys.executable, str(HERE / "fake_gpu_search.py"), str(gpus_per_trial), str(samples), str(together)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


def at_once(seen):
    """The largest set of trials that ran at one moment."""
    return max(([b for b in seen if b["began"] <= a["began"] < b["ended"]] for a in seen), key=len)


def test_eight_half_gpus_are_eight_trials_at_once_two_on_each_device():
    found = search(0.5, 8, together=8)
    assert found["statuses"] == ["completed"] * 8
    together = at_once(found["seen"])
    assert len(together) == 8
    assert Counter(one["devices"] for one in together) == {"0": 2, "1": 2, "2": 2, "3": 2}
    assert found["beside"] == ""


def test_two_whole_gpus_a_trial_are_never_shared():
    found = search(2, 3, together=2)
    assert found["statuses"] == ["completed"] * 3
    together = at_once(found["seen"])
    assert len(together) == 2
    devices = [device for one in together for device in one["devices"].split(",")]
    assert sorted(devices) == ["0", "1", "2", "3"]
