import math

import pytest
import torch
from pictures import trial_data

from trainables.config import TrialConfig
from trainables.divergence import LOOK_EVERY, Watch
from trainables.errors import Diverged
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun


def run_of(folder, **parameters):
    values = {"model": "timm:test_resnet", "strategy": "full", "batch_size": 4, "max_epochs": 2}
    return TrainingRun(TrialConfig.resolve({**values, **parameters}), trial_data(folder), ComputeConfig(32))


def spoil(run, at, value=math.nan):
    """From batch `at` on the loss of a training step is `value`; the list of the batches that were trained."""
    trained, update = [], run._update

    def spoiled(inputs, labels, kept):
        loss, logits = update(inputs, labels, kept)
        trained.append(len(labels))
        return torch.full_like(loss, value) if len(trained) >= at else loss, logits

    run._update = spoiled
    return trained


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_trial_whose_loss_is_not_finite_ends_at_that_batch_and_validates_nothing(tmp_path, value):
    run = run_of(tmp_path)
    trained = spoil(run, 2, value)
    run.validate = lambda epoch: pytest.fail("validated")
    with pytest.raises(Diverged, match=r"epoch 1, batch 2 of 6: train_loss"):
        run.step()
    assert len(trained) == 2
    assert (run.epoch, run.history) == (0, [])


def test_on_an_accelerator_the_loss_is_looked_at_every_few_batches_and_at_the_end(tmp_path):
    run = run_of(tmp_path, batch_size=2)
    run.watch = Watch(LOOK_EVERY)
    trained = spoil(run, 2)
    with pytest.raises(Diverged, match=rf"batch {LOOK_EVERY} of 12"):
        run.step()
    assert len(trained) == LOOK_EVERY < 12
    late = run_of(tmp_path, batch_size=2)
    late.watch = Watch(LOOK_EVERY)
    trained = spoil(late, 12)
    late.validate = lambda epoch: pytest.fail("validated")
    with pytest.raises(Diverged, match="batch 12 of 12"):
        late.step()


def test_a_validation_loss_that_is_not_finite_is_a_divergence_too(tmp_path):
    run = run_of(tmp_path)
    scores = run.validate(1)
    run.validate = lambda epoch: {**scores, "val_loss": math.nan}
    with pytest.raises(Diverged, match="epoch 1: val_loss nan"):
        run.step()


@pytest.mark.parametrize(("parts", "expected"), [(2, {4, 3}), (3, {3, 2}), (4, {3, 2}), (7, {1})])
def test_no_part_of_a_batch_has_one_image_alone_unless_every_part_has(tmp_path, parts, expected):
    run = run_of(tmp_path, batch_size=7)
    run.split_batches(parts)
    sizes = []

    def noted(inputs):
        sizes.append(len(inputs))
        return (torch.zeros(len(inputs), 3, requires_grad=True),)

    run._step.outputs = noted
    run._train(1)
    # Batches of 7, 7, 7 and 3 images.
    assert set(sizes) == expected
    assert sum(sizes) == 24


def test_a_trial_goes_on_in_a_precision_that_scales_gradients_and_in_one_that_does_not(tmp_path):
    plain, scaled = run_of(tmp_path), run_of(tmp_path)
    scaled._step.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    plain.step()
    scaled.load_state_dict(plain.state_dict())
    assert (scaled.epoch, scaled._step.scaler.get_scale()) == (1, 8.0)
    plain.load_state_dict(scaled.state_dict())
    assert plain.epoch == 1
