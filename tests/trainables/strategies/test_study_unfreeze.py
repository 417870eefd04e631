"""The study's gradual unfreezing against a loop that is written here from its description alone."""

from pathlib import Path

import pytest
import torch
from pictures import trial_data
from torch import nn
from torchvision.models import googlenet

from trainables.config import TrialConfig
from trainables.data.batches import normalise, train_batches
from trainables.setting import CPU, ComputeConfig
from trainables.training import TrainingRun
from trainables.trial_data import TrialData

SETTINGS = {
    "model": "googlenet",
    "strategy": "study_unfreeze",
    "learning_rate": 1e-4,
    "backbone_learning_rate": 1e-5,
    "schedule": "step",
    "step_size": 1,
    "gamma": 0.5,
    "label_smoothing": 0.1,
    # The two networks would draw their dropout differently.
    "dropout": 0.0,
    "batch_size": 8,
    "max_epochs": 3,
    "patience": 0,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrialData:
    return trial_data(tmp_path_factory.mktemp("study"))


def config_of(unfreeze_at: int, **changes: object) -> TrialConfig:
    return TrialConfig.resolve({**SETTINGS, "unfreeze_at": unfreeze_at, **changes})


def run_of(config: TrialConfig, data: TrialData) -> TrainingRun:
    return TrainingRun(config, data, ComputeConfig(32))


def same_start(run: TrainingRun) -> nn.Module:
    """torchvision's own GoogLeNet with the weights that `run` starts from."""
    network = googlenet(
        weights=None, aux_logits=False, init_weights=False, num_classes=3, transform_input=False
    )
    network.dropout.p = 0.0
    state = {name.removeprefix("backbone."): value for name, value in run.classifier.state_dict().items()}
    renamed = {name.replace("head.1.", "fc."): value.clone() for name, value in state.items()}
    network.load_state_dict(renamed)
    return network.to(memory_format=torch.channels_last)


def studys_loop(network: nn.Module, data: TrialData, config: TrialConfig) -> None:
    """As STUDY.md tells it, epochs counted from 0.

    One deviation, kept on purpose: while the backbone is frozen it is in evaluation mode. The study left it in training
    mode, which moves its BatchNorm statistics.
    """
    heads = [p for name, p in network.named_parameters() if "fc" in name or "aux" in name]
    network.requires_grad_(False)
    for parameter in heads:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(heads, lr=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, config.step_size, config.gamma)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    for epoch in range(config.max_epochs):
        network.train()
        if epoch < config.unfreeze_at:
            network.eval()
        if epoch == config.unfreeze_at:
            network.requires_grad_(True)
            optimizer = torch.optim.Adam(network.parameters(), lr=1e-5, fused=True)
        for images, labels in batches(data, config, epoch + 1):
            optimizer.zero_grad()
            loss(network(normalise(images, (0.5,) * 3, (0.5,) * 3)), labels).backward()
            optimizer.step()
        schedule.step()


def batches(data: TrialData, config: TrialConfig, epoch: int):
    return train_batches(
        data.cache,
        data.train_rows,
        data.train_labels,
        epoch=epoch,
        run_seed=0,
        trial_seed=config.seed,
        batch_size=config.batch_size,
        image_size=32,
        sampler="shuffle",
        device=CPU,
    )


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("unfreeze_at", [1, 2])
def test_three_epochs_end_in_the_weights_of_the_studys_loop(data: TrialData, unfreeze_at: int):
    config = config_of(unfreeze_at)
    run = run_of(config, data)
    network = same_start(run)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    list(run.epochs())
    studys_loop(network, data, config)
    ours = run.classifier.state_dict()
    for name, expected in network.state_dict().items():
        found = ours[name.replace("fc.", "head.1.") if name.startswith("fc.") else f"backbone.{name}"]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert name.endswith("tracked") or not torch.equal(expected, before[name]), name


def test_heads_and_backbone_share_one_rate_and_no_schedule_after_the_unfreeze(data: TrialData):
    run = run_of(config_of(2, max_epochs=4), data)
    seen = []
    for _ in run.epochs():
        seen.append(run.schedule.rates())
    assert [rates["head"] for rates in seen] == pytest.approx([1e-4, 5e-5, 1e-5, 1e-5])
    assert [rates["backbone"] for rates in seen] == pytest.approx([0, 0, 1e-5, 1e-5])


def test_the_optimizer_knows_nothing_of_the_time_before(data: TrialData):
    run = run_of(config_of(2), data)
    steps = []
    for _ in run.epochs():
        steps.append({int(state["step"]) for state in run.optimizer.state_dict()["state"].values()})
    per_epoch = -(-len(data.train_rows) // 8)
    assert steps == [{per_epoch}, {2 * per_epoch}, {per_epoch}]


def test_a_plateau_does_not_lower_the_rate_after_the_unfreeze(data: TrialData):
    plateau = {"schedule": "plateau", "step_size": None, "gamma": None, "plateau_factor": 0.5}
    run = run_of(config_of(1, **plateau, plateau_patience=0, max_epochs=2), data)
    list(run.epochs())
    run.schedule.reduce(2)
    run.schedule.set_rates(3)
    assert set(run.schedule.rates().values()) == {1e-5}


def test_a_resumed_trial_starts_over_once_as_one_that_was_never_interrupted(data: TrialData, tmp_path: Path):
    config = config_of(1)
    whole = run_of(config, data)
    list(whole.epochs())
    first = run_of(config, data)
    first.step()
    second = run_of(config, data)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    second.step()
    third = run_of(config, data)
    torch.save(second.state_dict(), tmp_path / "state.pt")
    third.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    third.step()
    assert [m.train_loss for m in third.history] == [m.train_loss for m in whole.history]
