"""What only an NVIDIA GPU can show; skipped without one."""

import pytest
import torch
from pictures import trial_data

from trainables.config import TrialConfig
from trainables.data.device_pictures import resident
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun
from trainables.worker import as_worker

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

COUNTS = {"blue": 24, "green": 24, "red": 18}


@pytest.fixture
def silent():
    """Whatever makes the processor wait for the GPU is an error while this is entered."""
    with as_worker(1):
        yield lambda mode: torch.cuda.set_sync_debug_mode(mode)
    torch.cuda.set_sync_debug_mode("default")


def run_of(folder, **parameters):
    values = {"model": "resnet18", "strategy": "full", "batch_size": 8, "max_epochs": 100, "patience": 0}
    config = TrialConfig.resolve({**values, **parameters})
    device = torch.device("cuda")
    return TrainingRun(
        config, trial_data(folder, COUNTS, 64), ComputeConfig(64, precision="bf16", device=device)
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"mixup": 0.4, "ema_decay": 0.9},
        {"model": "googlenet", "strategy": "full_aux", "class_weight_power": 0.5, "sampler": "weighted"},
        {"strategy": "feature_extractor"},
    ],
)
@pytest.mark.parametrize("share", [1.0, 0.0])
def test_no_epoch_after_the_first_makes_the_processor_wait(tmp_path, monkeypatch, silent, parameters, share):
    monkeypatch.setattr("trainables.data.device_pictures.RESIDENT_SHARE", share)
    resident.cache_clear()
    run = run_of(tmp_path, **parameters)
    run.step()
    silent("error")
    run.step()
    silent("default")
    assert len(run.history) == 2


def test_recorded_epochs_are_near_those_of_the_usual_way(tmp_path, monkeypatch, silent):
    recorded = run_of(tmp_path)
    monkeypatch.setattr("trainables.training_step.recorder_for", lambda device: None)
    usual = run_of(tmp_path)
    for _ in range(2):
        assert recorded.step().train_loss == pytest.approx(usual.step().train_loss, rel=0.1)
    assert "differs" not in recorded.applied()["step"]
    assert "can't" not in recorded.applied()["step"]
