import numpy as np
import pytest
import torch

from trainables import models
from tuner.dataset import ood
from tuner.probing.stage_means import NotedMeans

IMAGES = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
VALIDATION = np.array([False, True, False, False, True, False])


@pytest.fixture(scope="module")
def network():
    return models.create("timm:test_resnet", 3).eval()


@torch.inference_mode()
def test_the_means_of_both_parts_are_noted_while_features_are_computed(network):
    notes = NotedMeans(VALIDATION)
    features = torch.cat([notes(network, batch)[0] for batch in IMAGES.split(4)])
    torch.testing.assert_close(features, network.features(IMAGES)[0])
    means = ood.features_and_means(network, IMAGES)[1].numpy()
    train, validation = notes.found()
    np.testing.assert_allclose(train, means[~VALIDATION], atol=1e-5)
    np.testing.assert_allclose(validation, means[VALIDATION], atol=1e-5)


@torch.inference_mode()
def test_of_many_images_the_same_sample_is_noted_as_the_measure_is_fitted_to(network, monkeypatch):
    monkeypatch.setattr(ood, "MOST", 2)
    notes = NotedMeans(VALIDATION)
    notes(network, IMAGES)
    train, _ = notes.found()
    own = np.flatnonzero(~VALIDATION)[ood.sampled(4)]
    means = ood.features_and_means(network, IMAGES)[1].numpy()
    np.testing.assert_allclose(train, means[own], atol=1e-5)


@pytest.mark.parametrize("times", [0, 2])
@torch.inference_mode()
def test_nothing_is_noted_where_images_were_not_seen_or_seen_twice(network, times):
    notes = NotedMeans(VALIDATION)
    for _ in range(times):
        notes(network, IMAGES)
    assert [len(part) for part in notes.found()] == [0, 0]
