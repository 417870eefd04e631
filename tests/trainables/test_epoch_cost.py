import pytest

from trainables import models
from trainables.config import TrialConfig
from trainables.epoch_cost import epoch_cost, spent


def config(strategy, max_epochs=12, **own):
    return TrialConfig.resolve({"model": "resnet18", "strategy": strategy, "max_epochs": max_epochs, **own})


def test_an_epoch_that_trains_everything_costs_one():
    assert epoch_cost(config("full"), 1) == pytest.approx(1)
    assert spent(config("full"), 7) == pytest.approx(7)


def test_a_frozen_epoch_costs_nothing_on_cached_features_and_a_forward_pass_without():
    frozen = config("feature_extractor")
    assert spent(frozen, 12) == 0
    assert spent(frozen, 12, cached=False) == pytest.approx(12 / 3)


def test_gradual_unfreezing_begins_to_pay_when_everything_trains():
    late = config("gradual_unfreeze", unfreeze_at=4)
    assert [round(spent(late, epoch), 9) for epoch in (4, 5, 6)] == [0, 1, 2]


def test_a_partly_frozen_epoch_costs_the_forward_pass_and_its_share_of_the_backward():
    staged, stages = config("staged_unfreeze", unfreeze_at=1), models.num_stages("resnet18")
    costs = [epoch_cost(staged, epoch) for epoch in range(1, stages + 2)]
    assert costs[0] == 0
    assert costs[1] == pytest.approx(1 / 3 + 2 / 3 / stages)
    assert costs[-1] == pytest.approx(1)
    assert costs == sorted(costs)


def test_it_follows_from_what_the_configuration_trains_and_from_nothing_else():
    one = config("full", learning_rate=1e-5, batch_size=8)
    other = config("full", learning_rate=1e-2, batch_size=64, seed=3)
    assert [spent(one, epoch) for epoch in range(13)] == [spent(other, epoch) for epoch in range(13)]


def test_a_trial_has_no_epoch_beyond_its_last():
    with pytest.raises(ValueError, match="epoch 13 of a trial of 12"):
        spent(config("full"), 13)


def test_a_linear_probe_costs_one_frozen_epoch_and_has_no_other():
    probe = config("linear_probe")
    assert spent(probe, 1) == 0
    assert spent(probe, 1, cached=False) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="epoch 2 of a trial of 1"):
        spent(probe, 2)
