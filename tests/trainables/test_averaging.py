"""The moving average of a trial's weights."""

import io

import pytest
import torch
from pictures import trial_data

from trainables.averaging import WeightAverage
from trainables.config import TrialConfig
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun


def run_of(folder, **parameters):
    values = {"model": "timm:test_resnet", "strategy": "full", "batch_size": 4, "max_epochs": 3}
    return TrainingRun(TrialConfig.resolve({**values, **parameters}), trial_data(folder), ComputeConfig(32))


def weights(run):
    return {name: tensor.clone() for name, tensor in run.classifier.state_dict().items()}


def test_the_average_follows_its_formula_and_stays_out_of_the_training():
    model = torch.nn.Linear(2, 1)
    average = WeightAverage(model, 0.9)
    average.begin()
    expected = model.weight.detach().clone()
    for step in range(1, 6):
        with torch.no_grad():
            model.weight.add_(1.0)
        average.update()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    trained = model.weight.detach().clone()
    average.end()
    torch.testing.assert_close(model.weight.detach(), expected)
    average.begin()
    assert torch.equal(model.weight.detach(), trained)


def test_a_trial_trains_alike_and_is_judged_by_the_average(tmp_path, monkeypatch):
    plain, averaged = run_of(tmp_path), run_of(tmp_path, ema_decay=0.9)
    for run in (plain, averaged):
        run.step()
    assert averaged.history[0].train_loss == plain.history[0].train_loss
    assert averaged.history[0].val_loss != plain.history[0].val_loss
    # The weights that were trained are those of the trial without an average.
    averaged._average.begin()
    trained, expected = weights(averaged), weights(plain)
    averaged._average.end()
    assert all(torch.equal(trained[name], expected[name]) for name in expected)


def test_what_is_kept_is_what_was_validated(tmp_path):
    run = run_of(tmp_path, ema_decay=0.95)
    metrics = run.step()
    assert run.validate(1)["val_loss"] == metrics.val_loss


@pytest.mark.parametrize("strategy", ["full", "gradual_unfreeze", "probe_then_full"])
def test_it_goes_on_from_a_checkpoint_as_if_nothing_had_been(tmp_path, strategy):
    own = {"unfreeze_at": 1} if strategy == "gradual_unfreeze" else {}
    whole = run_of(tmp_path, strategy=strategy, ema_decay=0.9, **own)
    whole.step()
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    resumed = run_of(tmp_path, strategy=strategy, ema_decay=0.9, **own)
    resumed.load_state_dict(state)
    for _ in range(2):
        assert resumed.step().val_loss == whole.step().val_loss


def test_a_solved_head_is_the_average_too(tmp_path):
    plain, averaged = (run_of(tmp_path, strategy="probe_then_full", ema_decay=decay) for decay in (0.0, 0.99))
    assert averaged.step().val_loss == plain.step().val_loss
