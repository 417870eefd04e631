"""Strangeness: a threshold that holds on validation, things that are far away, and the better measure."""

import numpy as np
import pytest
import torch
from families import SMALLEST

from trainables.models import create, names
from tuner.dataset import ood as strangers
from tuner.dataset.ood import (
    MEASURES,
    StrangerScore,
    features_and_means,
    fit_measure,
    fit_strangers,
    strangeness,
)

CLASSES = ("a", "b", "c")


def blobs(count: int, seed: int, width: int = 40) -> tuple[torch.Tensor, np.ndarray]:
    """Features of three classes, each around a place of its own."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(9).normal(size=(3, width)) * 2
    return torch.from_numpy((centres[labels] + random.normal(size=(count, width))).astype(np.float32)), labels


@pytest.fixture(scope="module")
def fitted():
    return fit_strangers(*blobs(300, 0), *blobs(150, 1), CLASSES)


def test_one_in_a_hundred_of_images_like_those_is_a_stranger(fitted):
    values = strangeness(fitted.score, blobs(3000, 2)[0])
    assert 0.001 < float((values > 1).float().mean()) < 0.05
    assert 0.02 < float((values > fitted.at_95).float().mean()) < 0.1
    assert 0 < fitted.at_95 < 1


def test_what_is_far_away_is_a_stranger_in_any_direction(fitted):
    far = blobs(60, 3)[0] + 8 * torch.randn(40, generator=torch.Generator().manual_seed(0))
    assert float((strangeness(fitted.score, far) > 1).float().mean()) > 0.95


def test_each_class_that_is_left_out_is_told(fitted):
    assert set(fitted.left_out) == set(MEASURES)
    assert set(fitted.left_out[fitted.measure]) == set(CLASSES)
    assert min(fitted.left_out[fitted.measure].values()) > 0.9
    assert fitted.validation == 150


@pytest.mark.parametrize("better", MEASURES)
def test_the_measure_that_tells_classes_left_out_better_is_taken(monkeypatch, better):
    areas = {"nearest": 0.9 if better == "nearest" else 0.6, "gaussian": 0.7}
    seen = []

    def fit(measure, *rest, **more):
        seen.append(measure)
        return fit_measure(measure, *rest, **more)

    monkeypatch.setattr(strangers, "fit_measure", fit)
    monkeypatch.setattr(strangers, "area", lambda strange, scores: areas[seen[-1]])
    assert fit_strangers(*blobs(90, 0), *blobs(60, 1), CLASSES).measure == better


@pytest.mark.parametrize("measure", MEASURES)
def test_distances_are_those_of_the_definition(measure):
    train, labels = blobs(120, 0, 6)
    query = blobs(30, 5, 6)[0]
    found = strangeness(fit_measure(measure, train, labels), query).double().numpy()
    x, q = train.double().numpy(), query.double().numpy()
    mean = x.mean(0)
    values, vectors = np.linalg.eigh(np.cov((x - mean).T, bias=True))
    # All components are kept, so no residual is left, and its coordinate is noise over 1e-6.
    points, asked = (
        (vectors.T @ (x - mean).T).T / np.sqrt(values),
        (vectors.T @ (q - mean).T).T / np.sqrt(values),
    )
    if measure == "nearest":
        apart = np.linalg.norm(asked[:, None] - points[None], axis=2)
        expected = np.sort(apart, 1)[:, 4]
    else:
        means = np.stack([points[labels == code].mean(0) for code in range(3)])
        within = points - means[labels]
        inverse = np.linalg.inv(within.T @ within / len(points) + strangers.RIDGE * np.eye(6))
        gaps = asked[:, None] - means[None]
        expected = np.sqrt(np.einsum("bcd,de,bce->bc", gaps, inverse, gaps).min(1))
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)


def test_few_images_and_features_that_do_not_vary_are_no_error():
    train, labels = torch.ones(6, 4), np.arange(6) % 2
    found = fit_strangers(train, labels, torch.ones(3, 4), np.arange(3) % 2, ("a", "b"))
    assert torch.isfinite(strangeness(found.score, torch.ones(2, 4))).all()
    assert found.left_out == {"nearest": {}, "gaussian": {}}
    assert found.measure == "gaussian"


def test_the_score_goes_through_export_with_any_number_of_images(fitted):
    class Whole(torch.nn.Module):
        def __init__(self, score: StrangerScore) -> None:
            super().__init__()
            self.score = score

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.score(images)

    for measure in MEASURES:
        whole = Whole(fit_measure(measure, *blobs(90, 0))).eval()
        batch = torch.export.Dim("batch", min=1, max=4096)
        program = torch.export.export(whole, (blobs(6, 1)[0],), dynamic_shapes={"images": {0: batch}})
        query = blobs(7, 4)[0]
        torch.testing.assert_close(program.module()(query), whole(query))
        torch.testing.assert_close(program.module()(query[:1]), whole(query[:1]))


@torch.no_grad()
def stage_channels(classifier, side=64):
    """Channels of each stage but the last: of the axes that it puts out, the one that larger pictures leave alone."""
    shapes, stages = [], classifier.stages[:-1] or classifier.stages
    handles = [
        stage.modules[-1].register_forward_hook(lambda module, given, output: shapes.append(output.shape))
        for stage in stages
    ]
    for pictures in (torch.zeros(1, 3, side, side), torch.zeros(1, 3, 2 * side, 2 * side)):
        classifier(pictures)
    for handle in handles:
        handle.remove()
    small, large = shapes[: len(stages)], shapes[len(stages) :]
    kept = [
        [a for a, b in zip(one[1:], two[1:], strict=True) if a == b]
        for one, two in zip(small, large, strict=True)
    ]
    assert all(len(axes) == 1 for axes in kept)
    return [axes[0] for axes in kept]


OTHERS = ("timm:test_mambaout", "timm:volo_d1_224", "timm:test_vit", "timm:test_convnext")
"""Networks of families that are no candidates; the first two put out [b, h, w, c]."""


@pytest.mark.parametrize("name", dict.fromkeys([*SMALLEST, *names(), *OTHERS]))
def test_strangeness_reads_every_channel_of_every_stage_but_the_last(name):
    classifier = create(name, 2, dropout=0.0).eval()
    images = torch.randn(2, 3, 64, 64)
    if name == "timm:volo_d1_224":
        # It takes pictures of one size only.
        channels = [stage["num_chs"] for stage in classifier.backbone.feature_info[:3]]
        images = torch.randn(2, 3, 224, 224)
    else:
        channels = stage_channels(classifier)
    with torch.no_grad():
        means = features_and_means(classifier, images)[1]
    assert means.shape == (2, sum(channels))


def test_the_means_of_swin_are_over_the_places():
    classifier = create("timm:swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", 2).eval()
    outputs, images = [], torch.randn(2, 3, 64, 64)
    first = classifier.stages[0].modules[-1]
    handle = first.register_forward_hook(lambda module, given, output: outputs.append(output))
    with torch.no_grad():
        means = features_and_means(classifier, images)[1]
    handle.remove()
    assert outputs[0].shape == (2, 16, 16, 96)
    torch.testing.assert_close(means[:, :96], outputs[0].mean((1, 2)))


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "timm:test_vit"])
def test_the_stages_means_are_taken_beside_the_features_and_leave_no_hook(name):
    classifier = create(name, 2).eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        features, means = features_and_means(classifier, images)
        torch.testing.assert_close(features, classifier.features(images))
    assert means.shape[0] == 3
    assert means.shape[1] > 10
    assert not any(module._forward_hooks for module in classifier.modules())
