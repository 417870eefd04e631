import dataclasses

import numpy as np
import pytest
from pictures import trial_data

import trainables.image_losses as module
from trainables.best_epoch import best_epoch
from trainables.config import TrialConfig
from trainables.image_losses import image_losses
from trainables.metrics.answers import log_softmax
from trainables.setting import ComputeConfig
from trainables.temperature import calibrated_losses
from trainables.training import TrainingRun


def run_of(folder, metric="val_loss", **parameters):
    values = {"model": "resnet18", "strategy": "full", "batch_size": 8, "max_epochs": 2, "patience": 0}
    config = TrialConfig.resolve({**values, **parameters})
    return TrainingRun(config, trial_data(folder), ComputeConfig(32, metric=metric))


def test_the_losses_of_the_images_are_kept_of_every_epoch_under_a_temperature(tmp_path):
    run = run_of(tmp_path)
    for metrics in run.epochs():
        found = run.losses[metrics.epoch]
        logits = run._validation_logits(metrics.epoch, 8).double().numpy()
        assert found == pytest.approx(
            calibrated_losses(logits, run.data.val_labels, run.data.groups), rel=1e-6
        )
        plain = -log_softmax(logits)[range(len(found)), run.data.val_labels]
        assert plain.mean() == pytest.approx(metrics.val_loss, rel=1e-6)
        assert not np.allclose(found, plain)
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
    del state["calibrated_losses"]
    run.load_state_dict(state)
    assert run.losses == {}
    run.step()
    assert list(run.losses) == [2]


def test_of_many_images_and_of_none_no_losses_are_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 3)
    labels, logits = np.array([0, 1, 1]), np.zeros((3, 2))
    found = image_losses(labels, logits, range(3))
    assert found == pytest.approx(np.full(3, np.log(2)))
    assert found.dtype == np.float32
    assert image_losses(np.tile(labels, 2), np.tile(logits, (2, 1)), range(6)) is None
    assert image_losses(labels[:0], logits[:0], []) is None


def test_the_best_epoch_of_a_training_is_that_of_the_smoothed_curve_also_after_a_resume(tmp_path):
    groups = np.arange(8) // 2
    random = np.random.default_rng(0)
    level = [1.0, 0.45, 0.8, 0.6, 0.5, 0.5]
    noise = [2 * random.normal(size=8) for _ in level]
    curve = [(one - one.mean() + value).astype(np.float32) for one, value in zip(noise, level, strict=True)]

    def start():
        run = run_of(tmp_path, max_epochs=6)
        run.data = dataclasses.replace(run.data, val_groups=groups)
        scores = run.validate(1)

        def validate(epoch):
            run.losses[epoch] = curve[epoch - 1]
            return {**scores, "val_loss": float(curve[epoch - 1].mean())}

        run.validate, run._train = validate, lambda epoch: (0.5, 0.5)
        return run

    whole, cut = start(), start()
    best = [whole.best_epoch for _ in whole.epochs()]
    assert best == [1 + best_epoch(curve[: place + 1], groups) for place in range(6)]
    assert best[-1] > 2
    cut.step()
    again = start()
    again.load_state_dict(cut.state_dict())
    assert [again.best_epoch for _ in again.epochs()] == best[1:]


def test_by_another_metric_the_best_epoch_is_the_one_with_the_best_value(tmp_path):
    run = run_of(tmp_path, "val_accuracy", max_epochs=3)
    scores, accuracies = run.validate(1), [0.2, 0.9, 0.5]
    run.validate = lambda epoch: {**scores, "val_accuracy": accuracies[epoch - 1]}
    run._train = lambda epoch: (0.5, 0.5)
    for _ in run.epochs():
        pass
    assert run.best_epoch == 2


@pytest.mark.parametrize("metric", ["val_loss", "val_macro_f1"])
def test_the_epoch_that_solves_the_head_is_not_the_best_of_a_trial_that_trains_on(tmp_path, metric):
    run = run_of(tmp_path, metric, strategy="probe_then_full", max_epochs=4, patience=2)
    scores, costs = run.validate(1), [0.1, 0.9, 0.7, 0.8]

    def validate(epoch):
        run.losses[epoch] = np.full(8, costs[epoch - 1], dtype=np.float32)
        return {**scores, "val_loss": costs[epoch - 1], "val_macro_f1": 1 - costs[epoch - 1]}

    run.validate, run._train = validate, lambda epoch: (0.5, 0.5)
    assert [run.best_epoch for _ in run.epochs()] == [1, 2, 3, 3]
    assert run.finished == "completed"
