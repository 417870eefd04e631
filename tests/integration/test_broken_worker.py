"""A worker whose device is lost is not used again: its trial goes on in another process."""

import os
import sys
from pathlib import Path

import pytest
from ray import cloudpickle
from tiny import write_space

from trainables.ray_trainable import TrialTrainable
from tuner.tuning.config import search_config
from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepare

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

# Ray's workers can't import this module: pytest alone knows where it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Losing(TrialTrainable):
    """A trainable whose first process loses its GPU in its second epoch."""

    def _attempt(self):
        here = Path(self.context.run_dir)
        with (here / "processes").open("a") as file:
            file.write(f"{os.getpid()} {self.trial_name_here}\n")
        if self._running()[0].epoch == 1 and not (here / "lost").exists():
            (here / "lost").write_text(str(os.getpid()))
            raise RuntimeError("CUDA error: device-side assert triggered")
        return super()._attempt()


def test_a_worker_that_lost_its_device_gives_way_to_another_process(tmp_path, pictures):
    searched = prepare(
        search_config(
            space=str(write_space(tmp_path)),
            data=pictures,
            weights="none",
            image_size=32,
            samples=2,
            max_epochs=2,
            grace_period=2,
            concurrent=1,
            runs_dir=tmp_path,
            name="lost",
        )
    )
    result = execute(searched, trainable=Losing)
    table = result.trials
    assert table["status"].tolist() == ["completed", "completed"]
    assert sorted(table["retries"].tolist()) == [0, 1]
    assert table["epochs"].tolist() == [2, 2]
    lost = (result.run.path / "lost").read_text()
    used = [line.split()[0] for line in (result.run.path / "processes").read_text().splitlines()]
    assert lost in used
    assert lost not in used[used.index(lost) + used.count(lost) :]
    assert len(set(used)) == 2
