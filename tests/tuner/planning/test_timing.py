import pytest
from pictures import trial_data

from trainables.config import TrialConfig
from trainables.setting import ComputeConfig
from tuner.planning.timing import measure


@pytest.mark.parametrize(
    ("strategy", "more"),
    [("full", {}), ("probe_then_full", {"probe_l2": 0.01}), ("gradual_unfreeze", {"unfreeze_at": 2})],
)
def test_an_epoch_is_timed_before_and_after_the_last_unfreeze(tmp_path, strategy, more):
    config = TrialConfig.resolve({"model": "resnet18", "strategy": strategy, "batch_size": 8, **more})
    cost = measure(config, trial_data(tmp_path), ComputeConfig(32))
    assert cost.first_s > 0
    assert cost.full_s > 0
    assert cost.eval_s > 0
    assert 0 < cost.trained_bytes <= cost.weights_bytes
