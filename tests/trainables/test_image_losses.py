import numpy as np
import pytest
from pictures import trial_data

import trainables.image_losses as module
from trainables.config import TrialConfig
from trainables.image_losses import image_losses
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun


def run_of(folder):
    config = TrialConfig.resolve(
        {"model": "resnet18", "strategy": "full", "batch_size": 8, "max_epochs": 2, "patience": 0}
    )
    return TrainingRun(config, trial_data(folder), ComputeConfig(32))


def test_the_losses_of_the_images_are_kept_of_every_epoch_and_their_mean_is_its_val_loss(tmp_path):
    run = run_of(tmp_path)
    for metrics in run.epochs():
        found = run.losses[metrics.epoch]
        assert found.shape == (len(run.data.val_rows),)
        assert found.mean() == pytest.approx(metrics.val_loss, rel=1e-6)
    assert sorted(run.losses) == [1, 2]


def test_a_training_that_goes_on_knows_the_losses_of_its_past(tmp_path):
    run, other = run_of(tmp_path), run_of(tmp_path)
    run.step()
    other.load_state_dict(run.state_dict())
    assert np.array_equal(other.losses[1], run.losses[1])


def test_a_state_of_an_earlier_version_is_taken_up_without_losses(tmp_path):
    run = run_of(tmp_path)
    run.step()
    state = run.state_dict()
    del state["losses"]
    run.load_state_dict(state)
    assert run.losses == {}
    run.step()
    assert list(run.losses) == [2]


def test_of_many_images_and_of_none_no_losses_are_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 3)
    labels, logits = np.array([0, 1, 1]), np.zeros((3, 2))
    found = image_losses(labels, logits)
    assert found == pytest.approx(np.full(3, np.log(2)))
    assert found.dtype == np.float32
    assert image_losses(np.tile(labels, 2), np.tile(logits, (2, 1))) is None
    assert image_losses(labels[:0], logits[:0]) is None
