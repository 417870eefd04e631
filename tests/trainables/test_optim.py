import json
import math

import pytest
import torch
from torch import nn

from trainables.config import TrialConfig
from trainables.optim import PLATEAU_THRESHOLD, WARMUP_START, Schedule, build_optimizer, cosine_factor
from trainables.strategies.groups import ParamGroup


def groups_of(*from_epochs: int | None) -> tuple[ParamGroup, ...]:
    layers = [nn.Linear(2, 2) for _ in from_epochs]
    return tuple(
        ParamGroup(f"g{i}", (layer,), tuple(layer.parameters()), start, 10.0 ** -(i + 1))
        for i, (layer, start) in enumerate(zip(layers, from_epochs, strict=True))
    )


def config(schedule: str, **values: float) -> TrialConfig:
    return TrialConfig.resolve({"model": "resnet18", "strategy": "full", "schedule": schedule, **values})


def scheduled(groups: tuple[ParamGroup, ...], settings: TrialConfig) -> Schedule:
    return Schedule(build_optimizer(groups, settings), groups, settings)


def rates(schedule: Schedule, epoch: int, progress: float = 0.0) -> list[float]:
    schedule.set_rates(epoch, progress)
    return list(schedule.rates().values())


def test_step_counts_from_each_groups_own_unfreeze():
    schedule = scheduled(groups_of(1, 4), config("step", step_size=2, gamma=0.1))
    seen = [rates(schedule, epoch) for epoch in range(1, 8)]
    assert [first for first, _ in seen] == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4])
    assert [second for _, second in seen] == pytest.approx([0, 0, 0, 0.01, 0.01, 1e-3, 1e-3])


def test_the_cosine_rises_over_the_warmup_and_reaches_zero_at_the_end():
    assert cosine_factor(0.0, 2, 10) == WARMUP_START
    assert cosine_factor(1.0, 2, 10) == pytest.approx(0.505)
    assert cosine_factor(2.0, 2, 10) == pytest.approx(1)
    assert cosine_factor(6.0, 2, 10) == pytest.approx(0.5)
    assert cosine_factor(4.0, 2, 10) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert cosine_factor(10.0, 2, 10) == pytest.approx(0)


def test_the_cosine_runs_on_each_groups_own_clock_and_within_the_epoch():
    schedule = scheduled(groups_of(1, 7), config("cosine", warmup_epochs=1, max_epochs=10))
    # The second group has epochs 7 to 10: one of warm-up, three of cosine.
    assert rates(schedule, 7)[1] == pytest.approx(0.01 * WARMUP_START)
    assert rates(schedule, 8)[1] == pytest.approx(0.01)
    assert rates(schedule, 9, 0.5)[1] == pytest.approx(0.005)
    assert rates(schedule, 6)[1] == 0
    assert rates(schedule, 10, 0.999)[1] < 1e-5
    assert rates(schedule, 5, 0.5)[0] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 3.5 / 9)))


def test_a_group_that_unfreezes_in_the_last_epoch_still_gets_past_its_warmup():
    schedule = scheduled(groups_of(1, 10), config("cosine", warmup_epochs=5, max_epochs=10))
    assert rates(schedule, 10, 0.5)[1] == pytest.approx(0.01)
    assert rates(schedule, 10, 0.75)[1] == pytest.approx(0.005)


LOSSES = [
    1.0,
    0.9,
    0.9,
    0.90001,
    0.95,
    0.91,
    0.9 * (1 - PLATEAU_THRESHOLD / 2),
    0.8,
    0.85,
    0.9,
    0.9,
    0.81,
    0.8,
]


@pytest.mark.parametrize("patience", [0, 1, 2, 3])
@pytest.mark.parametrize("min_lr", [0.0, 2e-3])
def test_a_plateau_of_one_group_is_torchs(patience: int, min_lr: float):
    settings = config("plateau", plateau_factor=0.3, plateau_patience=patience, plateau_min_lr=min_lr)
    schedule = scheduled(groups_of(1), settings)
    theirs = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, factor=0.3, patience=patience, min_lr=min_lr, threshold=PLATEAU_THRESHOLD
    )
    seen = []
    for epoch, value in enumerate(LOSSES, start=1):
        seen.append(rates(schedule, epoch)[0])
        assert seen[-1] == pytest.approx(theirs.param_groups[0]["lr"]), epoch
        schedule.observe(epoch, value)
        reference.step(value)
    assert len(set(seen)) > 1


def test_a_plateau_reduces_what_is_unfrozen_and_an_unfreeze_starts_the_waiting_anew():
    schedule = scheduled(groups_of(1, 4), config("plateau", plateau_factor=0.5, plateau_patience=1))
    seen = []
    # 1.0 is best; two epochs without better reduce after epoch 3; epoch 4 unfreezes and is the new best though worse.
    for epoch, value in enumerate([1.0, 1.1, 1.1, 2.0, 1.9, 1.95, 1.95, 1.0], start=1):
        seen.append(rates(schedule, epoch))
        schedule.observe(epoch, value)
    assert [first for first, _ in seen] == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025])
    assert [second for _, second in seen] == pytest.approx([0, 0, 0, 0.01, 0.01, 0.01, 0.01, 0.005])


def test_waiting_from_before_an_unfreeze_does_not_count_after_it():
    schedule = scheduled(groups_of(1, 3), config("plateau", plateau_factor=0.5, plateau_patience=1))
    for epoch, value in enumerate([1.0, 1.1, 1.2, 1.3], start=1):
        schedule.observe(epoch, value)
    assert rates(schedule, 5) == pytest.approx([0.1, 0.01])
    schedule.observe(5, 1.4)
    assert rates(schedule, 6) == pytest.approx([0.05, 0.005])


def test_a_rate_below_the_minimum_is_not_raised_to_it():
    schedule = scheduled(groups_of(1, 1), config("plateau", plateau_patience=0, plateau_min_lr=0.05))
    schedule.observe(1, 1.0)
    schedule.observe(2, 1.0)
    assert rates(schedule, 3) == pytest.approx([0.05, 0.01])


def test_a_restored_schedule_goes_on_as_the_first_would():
    settings = config("plateau", plateau_factor=0.5, plateau_patience=1)
    schedule = scheduled(groups_of(1, 4), settings)
    for epoch, value in enumerate(LOSSES[:5], start=1):
        schedule.observe(epoch, value)
    again = scheduled(groups_of(1, 4), settings)
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for epoch, value in enumerate(LOSSES[5:], start=6):
        assert rates(schedule, epoch) == rates(again, epoch)
        schedule.observe(epoch, value)
        again.observe(epoch, value)


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_optimizer_holds_every_group_that_will_train_under_its_name(name: str, kind: type):
    optimizer = build_optimizer(groups_of(None, 1, 5), config("step", optimizer=name, weight_decay=0.01))
    assert type(optimizer) is kind
    assert [group["name"] for group in optimizer.param_groups] == ["g1", "g2"]
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.01}
    assert optimizer.param_groups[0]["fused"]


def test_the_optimizer_keeps_its_names_through_a_state_dict():
    groups = groups_of(1, 5)
    settings = config("step")
    again = build_optimizer(groups, settings)
    again.load_state_dict(build_optimizer(groups, settings).state_dict())
    assert [group["name"] for group in again.param_groups] == ["g0", "g1"]


def test_an_epoch_without_validation_neither_counts_as_better_nor_as_waiting():
    schedule = scheduled(groups_of(1), config("plateau", plateau_factor=0.5, plateau_patience=0))
    for epoch, value in enumerate([1.0, math.nan, math.nan, 0.9], start=1):
        schedule.observe(epoch, value)
    assert rates(schedule, 5) == [0.1]
