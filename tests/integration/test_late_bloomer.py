import math
import sys
import time

import pytest
from ray import cloudpickle
from tiny import write_space

from trainables.config import EpochMetrics
from trainables.ray_trainable import TrialTrainable
from tuner.tuning.config import search_config
from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepare

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

# Ray's workers can't import this module: pytest alone knows where it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

MAX_EPOCHS, GRACE, REDUCTION, SAMPLES = 10, 2, 3, 18

SPACE = '''"""Whole from the start, or unfreezing late."""


def space(trial):
    strategy = trial.suggest_categorical("strategy", ["full", "gradual_unfreeze"])
    trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    if strategy == "gradual_unfreeze":
        trial.suggest_int("unfreeze_at", 3, 5)
    return {"model": "mobilenet_v2", "batch_size": 8}


first_trials = [{"strategy": "full", "learning_rate": 1e-3}, {"strategy": "full", "learning_rate": 1e-2}]
'''


def val_loss(config, epoch):
    """Late bloomers are behind every other trial while frozen, and ahead of every other in the end."""
    off = abs(math.log10(config.learning_rate) + 3)
    if config.strategy == "full":
        return 0.4 + 0.05 * off + 0.3 * 0.5**epoch
    if epoch <= config.unfreeze_at:
        return 1.0 + 0.01 * off
    return 0.1 + 0.05 * off + 0.9 * 0.3 ** (epoch - config.unfreeze_at)


def metrics_of(config, epoch):
    unfrozen = epoch - (config.unfreeze_at or 0)
    return EpochMetrics(
        epoch=epoch,
        full_epochs=max(0, unfrozen),
        scores={
            "val_loss": val_loss(config, epoch),
            "val_accuracy": 0.5,
            "val_balanced_accuracy": 0.5,
            "val_macro_f1": 0.5,
            "val_auroc": 0.5,
        },
        train_loss=1.0,
        train_accuracy=0.5,
        learning_rate=config.learning_rate,
        trainable_parameters=1,
        epoch_seconds=0.0,
        time=time.time(),
    )


class Curves(TrialTrainable):
    """Trials whose epochs are given by `val_loss`."""

    def step(self):
        epoch = self._replayed = self._replayed + 1
        done = epoch == self._config.max_epochs
        metrics = metrics_of(self._config, epoch).row()
        return {**metrics, "done": done, "reason": "completed" if done else None, "applied": {}}


def tuner_finds(folder, pictures, space, seed):
    """Strategy and value of tuner's best trial, and for how many epochs each late bloomer was unfrozen."""
    prepared_search = prepare(
        search_config(
            space=str(space),
            data=pictures,
            weights="none",
            image_size=32,
            samples=SAMPLES,
            max_epochs=MAX_EPOCHS,
            grace_period=GRACE,
            reduction_factor=REDUCTION,
            concurrent=1,
            split="0.6,0.2,0.2",
            seed=seed,
            runs_dir=folder,
            name="tuner",
        )
    )
    result = execute(prepared_search, trainable=Curves)
    table = result.run.trials()
    assert len(table) == SAMPLES
    late = table[table["strategy"] == "gradual_unfreeze"]
    return result.best["strategy"], result.best["value"], (late["epochs"] - late["unfreeze_at"]).tolist()


def test_a_late_bloomer_is_found_and_none_is_stopped_while_frozen(tmp_path, pictures):
    strategy, value, unfrozen = tuner_finds(tmp_path, pictures, write_space(tmp_path, SPACE), seed=1)
    assert strategy == "gradual_unfreeze"
    # What unfreezes late is behind every other trial until it does, and none of the others comes so far.
    assert value < 0.35
    assert min(unfrozen) >= GRACE
