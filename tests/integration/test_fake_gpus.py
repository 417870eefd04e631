"""Who gets which GPU, with GPUs that Ray only believes in."""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import ray
from ray import cloudpickle, tune
from searches import shared_ray
from tiny import write_space

from tuner.tuning.config import search_config
from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepare

pytestmark = [pytest.mark.ray, pytest.mark.slow]

# Ray's workers can't import this module: pytest alone knows where it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

PATIENCE_S = 60.0

SPACE = '''"""Many trials."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    return {"model": "resnet18", "strategy": "full"}
'''


class Sleeping(tune.Trainable):
    """A trial that notes its devices and the time it had them."""

    def setup(self, config, context=None):
        self.named, self.folder = config["trial_id"], Path(context.run_dir)

    def reset_config(self, new_config):
        self.named = new_config["trial_id"]
        return True

    def step(self):
        began = time.time()
        (self.folder / f"{self.named}.began").touch()
        # Trials wait until so many have begun: a busy machine starts its workers slowly.
        together = int((self.folder / "together").read_text())
        while len(list(self.folder.glob("*.began"))) < together and time.time() < began + PATIENCE_S:
            time.sleep(0.2)
        time.sleep(1)
        seen = {"devices": os.environ.get("CUDA_VISIBLE_DEVICES"), "began": began, "ended": time.time()}
        (self.folder / f"{self.named}.seen").write_text(json.dumps(seen))
        values = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1", "train_loss")
        metrics = dict.fromkeys((*values, "train_accuracy", "learning_rate", "epoch_seconds", "time"), 0.5)
        whole = {"epoch": 1, "full_epochs": 1, "trainable_parameters": 1}
        return {**metrics, **whole, "done": True, "reason": "completed", "applied": {}}


@pytest.fixture(scope="module")
def four_gpus():
    """A Ray with four GPUs that are none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
        shared_ray(num_cpus=5, num_gpus=4)
        yield
        ray.shutdown()


@ray.remote(num_cpus=1)
def without_gpu():
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def search(folder, pictures, gpus_per_trial, samples, together):
    """What each trial of a search saw; all of them have ended well."""
    config = search_config(
        space=str(write_space(folder, SPACE)),
        data=pictures,
        runs_dir=folder / "runs",
        image_size=16,
        max_epochs=1,
        weights="none",
        samples=samples,
        cpus_per_trial=1,
        gpus_per_trial=gpus_per_trial,
    )
    prepared = prepare(config)
    (prepared.run.path / "together").write_text(str(together))
    trials = execute(prepared, trainable=Sleeping).trials
    assert trials["status"].tolist() == ["completed"] * samples, trials["error"].tolist()
    return [json.loads(file.read_text()) for file in sorted(prepared.run.path.glob("*.seen"))]


def at_once(seen):
    """The largest set of trials that ran at one moment."""
    return max(([b for b in seen if b["began"] <= a["began"] < b["ended"]] for a in seen), key=len)


def test_four_half_gpus_are_four_trials_at_once_two_on_each_device(four_gpus, tmp_path, pictures):
    beside = without_gpu.remote()
    together = at_once(search(tmp_path, pictures, 0.5, samples=4, together=4))
    assert len(together) == 4
    assert Counter(one["devices"] for one in together) == {"0": 2, "1": 2}
    assert ray.get(beside) == ""


def test_two_whole_gpus_a_trial_are_never_shared(four_gpus, tmp_path, pictures):
    together = at_once(search(tmp_path, pictures, 2, samples=3, together=2))
    assert len(together) == 2
    devices = [device for one in together for device in one["devices"].split(",")]
    assert sorted(devices) == ["0", "1", "2", "3"]
