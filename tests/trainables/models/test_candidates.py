"""The candidates that `tuner probe` tries: what the registry says of each is true, on networks with random weights."""

import os
import subprocess
import sys
from itertools import pairwise

import pytest
import timm
import torch
from families import SMALLEST
from torchvision import models as torchvision_models

from trainables import models, strategies
from trainables.config import TrialConfig
from trainables.models.candidates import CANDIDATES, Candidate, find, hub_id, torchvision_url


@pytest.fixture(params=CANDIDATES, ids=lambda candidate: candidate.name)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    return request.param


@pytest.fixture(scope="module", params=SMALLEST)
def built(request: pytest.FixtureRequest):
    return request.param, models.create(request.param, 3, dropout=0.0)


def test_there_is_a_small_one_of_every_family_and_a_good_dozen_of_timms():
    assert {candidate.family for candidate in CANDIDATES} == {find(name).family for name in SMALLEST}
    assert sum(candidate.name.startswith("timm:") for candidate in CANDIDATES) >= 12
    assert {candidate.name for candidate in CANDIDATES} >= set(models.names())
    assert len({candidate.name for candidate in CANDIDATES}) == len(CANDIDATES)


def test_size_licence_and_image_size_are_what_the_library_says(candidate: Candidate):
    with torch.device("meta"):
        network = models.source(candidate.name).build()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(candidate.millions, abs=0.06)
    if candidate.name.startswith("timm:"):
        settings = timm.get_pretrained_cfg(candidate.name.removeprefix("timm:"))
        assert settings.license == candidate.licence
        assert settings.input_size[-1] == candidate.image_size
        assert settings.hf_hub_id == hub_id(candidate.name)
    else:
        published = torchvision_models.get_model_weights(candidate.name).DEFAULT.url
        assert models.source(candidate.name).url == torchvision_url(candidate.name) == published


def test_whether_a_candidate_has_weights_is_told_without_timm_or_torchvision():
    asking = (
        "import sys; from trainables import models; from trainables.models import weights;"
        "from trainables.models.candidates import CANDIDATES;"
        "weights.reachable = lambda url: 'lite0.in1k/resolve/main/model' in url or '/resnet18-' in url;"
        "print([one.name for one in CANDIDATES"
        " if models.check(one.name) is None and models.weights_available(one.name)],"
        " {'timm', 'torchvision'} & set(sys.modules))"
    )
    environment = {**os.environ, "HF_HOME": "/nowhere", "TORCH_HOME": "/nowhere", "HF_HUB_OFFLINE": ""}
    told = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, env=environment)
    assert told.stdout == "['timm:tf_efficientnet_lite0.in1k', 'resnet18'] set()\n", told.stderr


def test_what_a_search_asks_of_torchvisions_networks_does_not_import_it():
    asking = (
        "import sys; from trainables import models;"
        "print([models.source(name).std[0] for name in ('googlenet', 'resnet18', 'mobilenet_v2', 'vgg16')],"
        " 'torchvision' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True)
    assert told.stdout == "[0.5, 0.229, 0.229, 0.229] False\n", told.stderr


def test_stages_are_as_many_as_it_says_and_cover_the_backbone_once(built):
    name, classifier = built
    assert len(classifier.stages) == find(name).num_stages == models.num_stages(name)
    own = [id(p) for stage in classifier.stages for p in stage.parameters]
    assert len(own) == len(set(own))
    assert set(own) == {id(p) for p in classifier.backbone.parameters()}
    assert all(stage.parameters for stage in classifier.stages)


def test_stages_follow_one_another_from_the_input_up(built):
    _, classifier = built
    order = {id(p): place for place, p in enumerate(classifier.backbone.parameters())}
    spans = [[order[id(p)] for p in stage.parameters] for stage in classifier.stages]
    assert all(max(before) < min(after) for before, after in pairwise(spans))


@pytest.mark.parametrize("size", [64, 50, 97])
def test_it_takes_small_images_and_sides_that_no_patch_divides(built, size):
    _, classifier = built
    with torch.no_grad():
        features = classifier.eval().features(torch.randn(2, 3, size, size))[0]
    assert features.shape == (2, classifier.width)
    assert features.isfinite().all()


@pytest.mark.parametrize("strategy", ["staged_unfreeze", "layerwise", "probe_then_full"])
def test_strategies_mean_the_same_for_every_family(built, strategy):
    name, classifier = built
    own = {"unfreeze_at": 1} if strategy == "staged_unfreeze" else {}
    config = TrialConfig.resolve({"model": name, "strategy": strategy, "max_epochs": 20, **own})
    groups = strategies.plan(config, classifier)
    backbone = [group for group in groups if group.name != "head"]
    stages = find(name).num_stages
    assert len(backbone) == (1 if strategy == "probe_then_full" else stages)
    assert max(group.from_epoch for group in backbone) == strategies.last_unfreeze(config, stages)
    rates = [group.learning_rate for group in backbone]
    assert rates == sorted(rates)


def test_stages_of_convolutional_networks_are_their_resolutions():
    def names(model):
        return [stage.name for stage in models.create(model, 2).stages]

    assert names("timm:resnet18.a1_in1k")[1:] == ["layer1", "layer2", "layer3", "layer4"]
    assert names("timm:tf_efficientnet_lite0.in1k") == [f"blocks.{n}" for n in (0, 1, 2, 4, 6)]
    assert names("timm:regnety_016.tv2_in1k")[1:] == ["s1", "s2", "s3", "s4"]


def test_blocks_of_a_transformer_are_merged_to_six_stages_of_two():
    classifier = models.create("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", 2)
    blocks = classifier.backbone.blocks
    for number, stage in enumerate(classifier.stages):
        assert [blocks[2 * number] in stage.modules, blocks[2 * number + 1] in stage.modules] == [True, True]
    assert classifier.backbone.patch_embed in classifier.stages[0].modules
    assert classifier.backbone.norm in classifier.stages[-1].modules


def test_a_model_without_levels_is_cut_evenly(monkeypatch):
    build = timm.create_model

    def without(name, **options):
        network = build(name, **options)
        network.feature_info = []
        return network

    monkeypatch.setattr(timm, "create_model", without)
    stages = models.create("timm:test_resnet", 2).stages
    assert 1 < len(stages) <= models.num_stages("timm:test_resnet")
