"""--weights-dir: files named as the models, checked before anything is searched."""

import pytest
import torch

from trainables import models
from trainables.errors import DataProblem, InvalidValue, WeightsUnavailable
from trainables.frozen_features import FeatureKey
from trainables.models.selection import settle_weights
from tuner.tuning.config import models_of, resolve, search_config

RESNET, TINY = "resnet18", "timm:test_resnet"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with weights of two models under the names that they may have; nothing can be downloaded."""
    monkeypatch.setattr(models, "weights_available", lambda name: False)
    for name, file in ((RESNET, "resnet18.pt"), (TINY, "test_resnet.pth")):
        classifier = models.create(name, 2, seed=5)
        torch.save(classifier.backbone.state_dict(), tmp_path / file)
    return tmp_path


def settle(folder, names, **more):
    """What the weights of a space with the models `names` come to, and what was said."""
    space = folder.parent / "space.py"
    space.write_text(
        f'''"""Some models."""


def space(trial):
    trial.suggest_categorical("model", {names!r})
    return {{"strategy": "full"}}
''',
        encoding="utf-8",
    )
    config = search_config(space=str(space), weights_dir=folder, **more)
    weights, notes = settle_weights(
        sorted(models_of(resolve(config))), config.data.weights, config.data.weights_dir, sample=False
    )
    return weights, "\n".join(notes)


def test_each_model_has_its_own_file_with_or_without_timms_prefix(folder):
    weights, said = settle(folder, [RESNET, TINY])
    assert (weights, said) == (str(folder), "")
    assert models.weights_origin(RESNET, weights) == str(folder / "resnet18.pt")
    for name in (RESNET, TINY):
        found = models.create(name, 3, weights=weights, seed=0).backbone.state_dict()
        other = models.create(name, 3, seed=5).backbone.state_dict()
        assert all(torch.equal(found[key], other[key]) for key in found)


LITE = "timm:tf_efficientnet_lite0"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (f"{LITE}.in1k", "tf_efficientnet_lite0.safetensors"),
        (f"{LITE}.in1k", "timm:tf_efficientnet_lite0.pt"),
        (LITE, "tf_efficientnet_lite0.in1k.pt"),
    ],
)
def test_timms_usual_tag_may_be_missing_in_the_name_or_in_the_files(tmp_path, name, file):
    (tmp_path / file).touch()
    assert models.weights_file(tmp_path, name) == tmp_path / file
    exact = tmp_path / f"{name}.pth"
    exact.touch()
    assert models.weights_file(tmp_path, name) == exact


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("timm:resnet18.a1_in1k", "resnet18.pt"),
        ("timm:swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", "swin_tiny_patch4_window7_224.pt"),
        ("timm:resnet18", "resnet18.tv_in1k.pt"),
        ("timm:resnet18.a1_in1k", "resnet18.tv_in1k.pt"),
        ("resnet18", "resnet18.a1_in1k.pt"),
        (f"{LITE}.in1k", "tf_efficientnet_lite1.pt"),
    ],
    ids=["torchvisions", "not-the-usual", "of-another-tag", "two-tags", "timms", "another-network"],
)
def test_a_file_that_may_be_of_other_weights_is_not_taken(tmp_path, name, file):
    (tmp_path / file).touch()
    assert models.weights_file(tmp_path, name) is None


def test_the_features_of_two_files_are_kept_apart_and_those_of_one_are_not(folder):
    def digest(weights):
        return FeatureKey(RESNET, weights, 0, "images", 32, "fp32", "cpu").digest

    assert digest(str(folder)) == digest(str(folder / "resnet18.pt"))
    before = digest(str(folder))
    torch.save(models.create(RESNET, 2, seed=6).backbone.state_dict(), folder / "resnet18.pt")
    assert digest(str(folder)) != before


def test_a_model_without_a_file_needs_weights_elsewhere(folder, monkeypatch):
    with pytest.raises(WeightsUnavailable, match=r"of mobilenet_v2 are neither cached .* --weights-dir DIR"):
        settle(folder, [RESNET, "mobilenet_v2"])
    monkeypatch.setattr(models, "weights_available", lambda name: name == "mobilenet_v2")
    weights, _ = settle(folder, [RESNET, "mobilenet_v2"])
    assert models.weights_origin("mobilenet_v2", weights) == "imagenet"


def test_a_wrong_file_is_named_with_what_does_not_fit(folder):
    torch.save(models.create(TINY, 2).backbone.state_dict(), folder / "resnet18.pt")
    with pytest.raises(WeightsUnavailable, match=r"resnet18\.pt' for resnet18 does not fit .*missing: conv1"):
        settle(folder, [RESNET, TINY])


def test_a_file_that_belongs_to_no_model_of_the_space_is_told(folder):
    _, said = settle(folder, [RESNET])
    assert "not used, since no model of that name is looked for: test_resnet.pth" in said


def test_of_many_files_that_belong_to_no_model_a_few_are_told(folder):
    for number in range(9):
        (folder / f"model{number}.pt").touch()
    _, said = settle(folder, [RESNET])
    assert said.rstrip().endswith("model0.pt, model1.pt, model2.pt and 7 more")


def test_a_folder_that_is_none_or_has_no_use_is_refused(folder):
    with pytest.raises(DataProblem, match="does not exist; --weights-dir"):
        settle(folder / "nowhere", [RESNET])
    with pytest.raises(InvalidValue, match="with --weights none it has no effect"):
        settle(folder, [RESNET], weights="none")
