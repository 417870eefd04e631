"""Two searches on two GPUs that are none, on one Ray: prints what every trial saw, and when, a line for each."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import ray
from pictures import write_pictures
from ray import tune
from tiny import write_space

from tuner.tuning.config import search_config
from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepare

GPUS, SEARCHES = 2, ((0.5, 4), (2, 2))
"""GPUs a trial, and trials. They wait until as many have begun as can: a busy machine starts its workers slowly."""
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
        self.together = int((self.folder / "together").read_text())

    def reset_config(self, new_config):
        self.named = new_config["trial_id"]
        return True

    def step(self):
        began = time.time()
        (self.folder / f"{self.named}.began").touch()
        while len(list(self.folder.glob("*.began"))) < self.together and time.time() < began + PATIENCE_S:
            time.sleep(0.2)
        time.sleep(1)
        seen = {"devices": os.environ.get("CUDA_VISIBLE_DEVICES"), "began": began, "ended": time.time()}
        (self.folder / f"{self.named}.seen").write_text(json.dumps(seen))
        values = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1", "train_loss")
        metrics = dict.fromkeys((*values, "train_accuracy", "learning_rate", "epoch_seconds", "time"), 0.5)
        whole = {"epoch": 1, "full_epochs": 1, "trainable_parameters": 1}
        return {**metrics, **whole, "done": True, "reason": "completed", "applied": {}}


@ray.remote(num_cpus=1)
def without_gpu():
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def search(folder, pictures, gpus_per_trial, samples):
    """What the trials of one search saw, as a line of JSON."""
    config = search_config(
        space=str(write_space(folder, SPACE)),
        data=pictures,
        runs_dir=folder,
        image_size=16,
        max_epochs=1,
        weights="none",
        samples=samples,
        gpus_per_trial=gpus_per_trial,
    )
    prepared_search = prepare(config)
    run = prepared_search.run
    (run.path / "together").write_text(str(min(samples, int(GPUS / gpus_per_trial))))
    beside = without_gpu.remote()
    trials = execute(prepared_search, trainable=Sleeping).trials
    for error in trials["error"].dropna():
        print(error, file=sys.stderr)
    seen = [json.loads(file.read_text()) for file in sorted(run.path.glob("*.seen"))]
    print(json.dumps({"seen": seen, "statuses": trials["status"].tolist(), "beside": ray.get(beside)}))


def main():
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "1"
    # A worker that nobody needs is started for each of these cores otherwise.
    os.environ.update({"RAY_prestart_worker_first_driver": "0"})
    ray.init(
        address="local", num_cpus=5, num_gpus=GPUS, include_dashboard=False, _node_ip_address="127.0.0.1"
    )
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name) / "pictures"
        write_pictures(pictures, {"blue": 20, "red": 20})
        for number, (gpus_per_trial, samples) in enumerate(SEARCHES):
            folder = Path(name) / str(number)
            folder.mkdir()
            search(folder, pictures, gpus_per_trial, samples)
    ray.shutdown()


if __name__ == "__main__":
    main()
