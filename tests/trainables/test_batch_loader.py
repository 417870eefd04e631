import pytest
import torch
from pictures import trial_data

from trainables.config import TrialConfig
from trainables.data.batches import normalise
from trainables.frozen_features import FeatureCache, FeatureKey
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun

CPU = torch.device("cpu")


@pytest.fixture
def runs(tmp_path):
    """The same trial, unfreezing after one epoch, without a feature cache and with one."""
    data = trial_data(tmp_path)
    settings = {"model": "resnet18", "strategy": "gradual_unfreeze", "unfreeze_at": 1, "batch_size": 8}
    config = TrialConfig.resolve({**settings, "max_epochs": 2})
    key = FeatureKey("resnet18", "none", 0, data.cache.path.name, 32, "fp32", "cpu")
    feature_cache = FeatureCache(key, data.cache, CPU, 2**30, tmp_path / "features")
    return TrainingRun(config, data, ComputeConfig(32)), TrainingRun(
        config, data, ComputeConfig(32), feature_cache
    )


@torch.no_grad()
def test_features_stand_for_the_pictures_of_the_same_batch_while_the_backbone_is_frozen(runs):
    plain, cached = runs
    plain.classifier.eval()
    cached.classifier.eval()
    pairs = list(zip(plain.loader.train(1), cached.loader.train(1), strict=True))
    assert len(pairs) > 1
    for (pictures, labels), (features, same_labels) in pairs:
        assert pictures.dtype == torch.uint8
        assert torch.equal(labels, same_labels)
        (expected,) = plain.classifier.features(
            normalise(pictures, plain.classifier.mean, plain.classifier.std)
        )
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_validation_features_come_in_the_order_of_the_rows(runs):
    plain, cached = runs
    plain.classifier.eval()
    cached.classifier.eval()
    with torch.inference_mode():
        pictures, features = (
            torch.cat(list(plain.loader.validation(1))),
            torch.cat(list(cached.loader.validation(1))),
        )
        (expected,) = plain.classifier.features(
            normalise(pictures, plain.classifier.mean, plain.classifier.std)
        )
    assert len(pictures) == len(plain.data.val_rows)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_an_unfrozen_backbone_is_fed_pictures_feature_cache_or_not(runs):
    for (pictures, labels), (same_pictures, same_labels) in zip(
        runs[0].loader.train(2), runs[1].loader.train(2), strict=True
    ):
        assert pictures.dtype == torch.uint8
        assert torch.equal(pictures, same_pictures)
        assert torch.equal(labels, same_labels)
    assert all(pictures.dtype == torch.uint8 for pictures in runs[1].loader.validation(2))
