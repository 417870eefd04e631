"""The workers of a search start together."""

import sys
import time
from pathlib import Path

import pytest
from ray import cloudpickle, tune
from tiny import write_space

from tuner.tuning.config import search_config
from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepare

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

# Ray's workers can't import this module: pytest alone knows where it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

PATIENCE_S = 30.0
"""How long a worker waits for the other's start: a busy machine starts them slowly."""


class Waiting(tune.Trainable):
    """A trial whose worker is ready only when another one is, too."""

    def setup(self, config, context=None):
        """Wait for another worker; say whether it came."""
        folder = Path(context.run_dir)
        (folder / f"{config['trial_id']}.here").touch()
        until = time.monotonic() + PATIENCE_S
        while len(list(folder.glob("*.here"))) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        if len(list(folder.glob("*.here"))) > 1:
            (folder / f"{config['trial_id']}.met").touch()

    def reset_config(self, new_config):
        """Take over a trial, where the other worker came too late."""
        return True

    def step(self):
        """One epoch."""
        values = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1", "train_loss")
        metrics = dict.fromkeys((*values, "train_accuracy", "learning_rate", "epoch_seconds", "time"), 0.5)
        whole = {"epoch": 1, "full_epochs": 1, "trainable_parameters": 1}
        return {**metrics, **whole, "done": True, "reason": "completed", "applied": {}}


def test_no_worker_waits_for_the_start_of_another(tmp_path, pictures):
    searched = prepare(
        search_config(
            space=str(write_space(tmp_path)),
            data=pictures,
            weights="none",
            image_size=32,
            samples=2,
            concurrent=2,
            runs_dir=tmp_path,
            name="together",
        )
    )
    result = execute(searched, trainable=Waiting)
    assert result.trials["status"].tolist() == ["completed", "completed"]
    assert len(list(result.run.path.glob("*.met"))) == 2
