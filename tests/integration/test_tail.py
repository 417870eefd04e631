"""A worker that dies when nothing is left to propose."""

import os
import signal
import sys
from pathlib import Path

import pytest
from ray import cloudpickle, tune
from tiny import write_space

from tuner.runs.directory import Run
from tuner.tuning.config import search_config
from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepare
from tuner.tuning.trial_store import TrialStore

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

# Ray's workers can't import this module: pytest alone knows where it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Killed(tune.Trainable):
    """A trial whose worker dies by SIGKILL in the first epoch of its first try."""

    def setup(self, config, context=None):
        """Note the run's folder and the trial."""
        self.folder, self.named = Path(context.run_dir), config["trial_id"]

    def reset_config(self, new_config):
        """Take over another trial."""
        self.named = new_config["trial_id"]
        return True

    def step(self):
        """One epoch, the only one."""
        tried = self.folder / f"{self.named}.tried"
        if not tried.exists():
            tried.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        values = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1", "train_loss")
        metrics = dict.fromkeys((*values, "train_accuracy", "learning_rate", "epoch_seconds", "time"), 0.5)
        whole = {"epoch": 1, "full_epochs": 1, "trainable_parameters": 1}
        return {**metrics, **whole, "done": True, "reason": "completed", "applied": {"loss": "plain"}}


def test_a_worker_that_dies_at_the_tail_of_a_search_is_tried_again(tmp_path, pictures, monkeypatch):
    reported, report = [], TrialStore.report

    def counted(store, trial_id, result):
        reported.append((trial_id, result["epoch"], result["applied"]))
        return report(store, trial_id, result)

    monkeypatch.setattr(TrialStore, "report", counted)
    prepared_search = prepare(
        search_config(
            space=str(write_space(tmp_path)),
            data=pictures,
            weights="none",
            image_size=32,
            samples=1,
            concurrent=2,
            runs_dir=tmp_path,
            name="tail",
        )
    )
    result = execute(prepared_search, trainable=Killed)
    trials = result.trials
    assert trials["status"].tolist() == ["completed"]
    assert trials["retries"].tolist() == [1]
    assert Run.open(prepared_search.run.path).record["finished"]
    assert result.exit_status == 0
    # One epoch, the last one too, comes to the store by one way, with all that the trial said.
    assert reported == [(trials["trial_id"].iloc[0], 1, {"loss": "plain"})]
