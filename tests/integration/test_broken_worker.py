"""A worker that is killed or loses its device is not used again: its trial goes on in another process."""

import itertools
import os
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
from ray import cloudpickle
from searches import TIMES, WITH_PRIOR, check_whole, config
from tiny import write_space

from trainables.ray_trainable import TrialTrainable
from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepare

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

# Ray's workers can't import this module: pytest alone knows where it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Losing(TrialTrainable):
    """A trainable that is killed in its second epoch, and then, in another trial's, loses its GPU."""

    def _attempt(self):
        here, (run, writer) = Path(self.context.run_dir), self._running()
        with (here / "attempts").open("a") as file:
            file.write(f"{os.getpid()} {self.trial_name_here} {run.epoch}\n")
        if run.epoch == 1:
            writer.wait()
            killed, lost = here / "killed", here / "lost"
            if not killed.exists():
                killed.write_text(self.trial_name_here)
                os.kill(os.getpid(), signal.SIGKILL)
            if killed.read_text() != self.trial_name_here and not lost.exists():
                lost.write_text(self.trial_name_here)
                raise RuntimeError("CUDA error: device-side assert triggered")
        return super()._attempt()


def test_a_worker_that_is_killed_or_lost_its_device_gives_way_to_another_which_goes_on_from_the_last_epoch(
    tmp_path, pictures, finished
):
    searched = prepare(config(tmp_path, pictures, write_space(tmp_path, WITH_PRIOR)))
    result = execute(searched, trainable=Losing)
    run, table = result.run, result.trials
    check_whole(run)
    whole = finished.run.epochs().drop(columns=TIMES)
    pd.testing.assert_frame_equal(run.epochs().drop(columns=TIMES), whole)
    struck = {(run.path / name).read_text() for name in ("killed", "lost")}
    assert len(struck) == 2
    assert table["retries"].tolist() == [int(trial_id in struck) for trial_id in table["trial_id"]]
    attempts = [line.split() for line in (run.path / "attempts").read_text().splitlines()]
    for trial_id in struck:
        assert [epoch for _, named, epoch in attempts if named == trial_id][:3] == ["0", "1", "1"]
    used = [process for process, _, _ in attempts]
    # No process is used again after another one has taken its place.
    assert sum(before != after for before, after in itertools.pairwise(used)) == 2
    assert len(set(used)) == 3
