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


@pytest.fixture(scope="module")
def found():
    """What the trials saw of a search with half a GPU each, and of one with two each; there are two."""
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1])])
    result = subprocess.run(
        [sys.executable, str(HERE / "fake_gpu_search.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def at_once(seen):
    """The largest set of trials that ran at one moment."""
    return max(([b for b in seen if b["began"] <= a["began"] < b["ended"]] for a in seen), key=len)


def test_four_half_gpus_are_four_trials_at_once_two_on_each_device(found):
    halves, _ = found
    assert halves["statuses"] == ["completed"] * 4
    together = at_once(halves["seen"])
    assert len(together) == 4
    assert Counter(one["devices"] for one in together) == {"0": 2, "1": 2}
    assert halves["beside"] == ""


def test_two_whole_gpus_a_trial_are_never_shared(found):
    _, whole = found
    assert whole["statuses"] == ["completed"] * 2
    assert len(at_once(whole["seen"])) == 1
    assert [sorted(one["devices"].split(",")) for one in whole["seen"]] == [["0", "1"]] * 2
