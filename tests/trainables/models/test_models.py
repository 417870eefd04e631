import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pretrained import MODEL, MODELS, write_lite_weights
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models as torchvision_models

from trainables import models
from trainables.errors import InvalidValue, UnknownName, UserMistake, WeightsUnavailable
from trainables.models import weights as weight_files
from trainables.models.classifier import Classifier, stage_shapes
from trainables.models.stages import Stage

SMALL = "resnet18"


@pytest.fixture(scope="module", params=models.names())
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return models.create(request.param, 3, auxiliary=models.has_auxiliary(request.param)).eval()


@pytest.fixture(scope="module")
def resnet_state() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return dict(torchvision_models.resnet18().state_dict())


def parameter_ids(stages: tuple[Stage, ...]) -> list[int]:
    return [id(parameter) for stage in stages for parameter in stage.parameters]


def test_names_are_known_without_importing_torch():
    code = (
        "import sys; from trainables import models, strategies; models.names(); strategies.names();"
        " models.num_stages('vgg16'); strategies.check('full_aux', 'googlenet');"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_five_models_are_registered():
    assert set(models.names()) == {"googlenet", "resnet18", "resnet50", "vgg16", "mobilenet_v2"}


@pytest.mark.parametrize("size", [32, 96])
def test_logits_have_one_column_a_class_on_small_images(classifier: Classifier, size: int):
    with torch.no_grad():
        logits = classifier(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 3)
    assert logits.dtype is torch.float32


def test_stages_are_disjoint_and_cover_the_backbone(classifier: Classifier):
    ids = parameter_ids(classifier.stages)
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(parameter) for parameter in classifier.backbone.parameters()}


def test_the_number_of_stages_is_as_registered():
    for name in models.names():
        with torch.device("meta"):
            assert len(models.create(name, 3).stages) == models.num_stages(name), name


def test_stages_run_from_the_input_up(classifier: Classifier):
    sides = [shape[-1] for shape in stage_shapes(classifier, 64).values() if len(shape) == 3]
    assert sides == sorted(sides, reverse=True)
    assert len(stage_shapes(classifier, 64)) == len(classifier.stages)


def test_channels_come_first_in_what_is_told_of_a_stage():
    swin = models.create("timm:swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", 2)
    assert list(stage_shapes(swin, 64).values())[:3] == [(96, 16, 16), (192, 8, 8), (384, 4, 4)]


def test_the_backbone_computes_what_torchvision_does():
    torch.manual_seed(2)
    network = torchvision_models.resnet18().eval()
    classifier = models.create(SMALL, 3).eval()
    weight_files.load_network(classifier.backbone, network.state_dict(), ("fc.",), "torchvision")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        network.fc = torch.nn.Identity()
        torch.testing.assert_close(classifier.features(images)[0], network(images))


def test_googlenet_normalises_as_torchvision_does_with_transform_input(tmp_path: Path):
    torch.manual_seed(3)
    network = torchvision_models.googlenet(
        weights=None, aux_logits=False, init_weights=False, transform_input=True
    )
    torch.save(network.state_dict(), tmp_path / "g.pt")
    classifier = models.create("googlenet", 3, weights=str(tmp_path / "g.pt")).eval()
    network.fc = torch.nn.Identity()
    images = torch.rand(2, 3, 64, 64)

    def normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
        return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    with torch.no_grad():
        theirs = network.eval()(normalised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        ours = classifier(normalised(classifier.mean, classifier.std))
        features = classifier.features(normalised(classifier.mean, classifier.std))[0]
    torch.testing.assert_close(features, theirs, rtol=1e-3, atol=1e-4)
    assert ours.shape == (2, 3)


def test_aux_inputs_are_what_the_auxiliary_heads_read_and_give_aux1_then_aux2():
    classifier = models.create("googlenet", 3, auxiliary=True).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = classifier.features(images, aux_inputs=True)
        logits = classifier.classify(features)
    assert [tuple(tap.shape[1:]) for tap in features] == [(1024,), (512, 4, 4), (528, 4, 4)]
    torch.testing.assert_close(features[0], classifier.features(images)[0])
    torch.testing.assert_close(logits[1], classifier.auxiliary[0](features[1]))
    torch.testing.assert_close(logits[2], classifier.auxiliary[1](features[2]))
    assert [len(classifier.classify(classifier.features(images)))] == [1]


def test_auxiliary_heads_exist_only_when_asked_for_and_only_in_googlenet():
    assert len(models.create("googlenet", 3).auxiliary) == 0
    with pytest.raises(InvalidValue, match="only googlenet"):
        models.create(SMALL, 3, auxiliary=True)


def test_a_random_backbone_follows_from_the_seed_alone_and_the_head_from_the_global_generator():
    first, second, third = (
        torch.manual_seed(s) and models.create(SMALL, 3, seed=b) for s, b in ((1, 5), (2, 5), (1, 6))
    )
    assert torch.equal(first.backbone.conv1.weight, second.backbone.conv1.weight)
    assert not torch.equal(first.head[1].weight, second.head[1].weight)
    assert not torch.equal(first.backbone.conv1.weight, third.backbone.conv1.weight)
    assert torch.equal(first.head[1].weight, third.head[1].weight)


def test_full_and_full_aux_of_one_seed_start_from_the_same_head():
    heads = []
    for auxiliary in (False, True):
        torch.manual_seed(0)
        heads.append(models.create("googlenet", 3, auxiliary=auxiliary).head[1].weight)
    assert torch.equal(*heads)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_plain_state_dict_fills_the_backbone_and_leaves_the_head_new(
    tmp_path: Path, resnet_state: dict[str, Tensor], suffix: str
):
    path = tmp_path / f"weights{suffix}"
    save_file(resnet_state, path) if suffix == ".safetensors" else torch.save(resnet_state, path)
    classifier = models.create(SMALL, 3, weights=str(path))
    for name, value in classifier.backbone.state_dict().items():
        assert torch.equal(value, resnet_state[name]), name
    assert classifier.head[1].weight.shape == (3, 512)
    assert {parameter.device.type for parameter in classifier.parameters()} == {"cpu"}
    assert all(parameter.requires_grad for parameter in classifier.parameters())


def test_a_plain_state_dict_with_other_classes_or_without_a_head_fits(
    tmp_path: Path, resnet_state: dict[str, Tensor]
):
    headless = {key: value for key, value in resnet_state.items() if not key.startswith("fc.")}
    for number, state in enumerate(
        (headless, {**headless, "fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)})
    ):
        path = tmp_path / f"{number}.pt"
        torch.save(state, path)
        assert models.create(SMALL, 3, weights=str(path)).head[1].weight.shape == (3, 512)


def test_our_own_state_dict_is_restored_whole(tmp_path: Path):
    trained = models.create("googlenet", 3, auxiliary=True, seed=4)
    save_file(trained.state_dict(), tmp_path / "own.safetensors")
    again = models.create("googlenet", 3, weights=str(tmp_path / "own.safetensors"), auxiliary=True)
    for (name, ours), theirs in zip(again.state_dict().items(), trained.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    plain = models.create("googlenet", 3, weights=str(tmp_path / "own.safetensors"))
    assert torch.equal(plain.head[1].weight, trained.head[1].weight)


def test_our_own_state_dict_of_other_classes_is_refused(tmp_path: Path):
    torch.save(models.create(SMALL, 4).state_dict(), tmp_path / "own.pt")
    with pytest.raises(WeightsUnavailable, match=r"head\.1\.weight \(4, 512\) instead of \(3, 512\)"):
        models.create(SMALL, 3, weights=str(tmp_path / "own.pt"))


def test_keys_that_do_not_fit_are_named(tmp_path: Path, resnet_state: dict[str, Tensor]):
    state = dict(resnet_state)
    del state["layer1.0.conv1.weight"]
    state["layer9.weight"] = torch.zeros(1)
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    torch.save(state, tmp_path / "odd.pt")
    with pytest.raises(WeightsUnavailable) as caught:
        models.create(SMALL, 3, weights=str(tmp_path / "odd.pt"))
    message = str(caught.value)
    assert "1 missing: layer1.0.conv1.weight" in message
    assert "1 unexpected: layer9.weight" in message
    assert "conv1.weight (64, 1, 7, 7) instead of (64, 3, 7, 7)" in message


class Dangerous:
    def __reduce__(self):
        return print, ("never",)


@pytest.mark.parametrize(
    "content",
    [b"not weights", Dangerous(), [1, 2], {"epoch": 3}],
    ids=["bytes", "pickle", "list", "no-tensors"],
)
def test_a_file_that_holds_no_state_dict_is_refused(
    tmp_path: Path, content: object, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "bad.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(WeightsUnavailable, match=r"bad\.pt .*no state dict"):
        models.create(SMALL, 3, weights=str(path))
    assert capsys.readouterr().out == ""


def test_a_weights_file_that_is_missing_is_named():
    with pytest.raises(WeightsUnavailable, match=r"nowhere\.pt.*no such file"):
        models.create(SMALL, 3, weights="nowhere.pt")


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(UnknownName, match="did you mean 'googlenet'"):
        models.check("googelnet")
    with pytest.raises(UnknownName, match="tf_efficientnet_lite0"):
        models.check("timm:tf_eficientnet_lite0")
    with pytest.raises(UnknownName, match=r"unknown timm model 'vit_base_patch16_224_in21k'; did you mean"):
        models.check("timm:vit_base_patch16_224_in21k")
    models.check(MODEL)


def test_a_tag_that_nobody_trained_is_answered_with_those_there_are():
    with pytest.raises(
        UnknownName, match=r"no weights 'nope' of timm model 'resnet18'; it has a1_in1k, .* 2 more$"
    ):
        models.check("timm:resnet18.nope")
    with pytest.raises(UnknownName, match=r"it has in1k$"):
        models.source(f"{MODEL}.in21k")
    models.check(f"{MODEL}.in1k")


@pytest.mark.parametrize("name", [MODEL, f"{MODEL}.in1k"])
def test_a_model_of_timms_without_its_prefix_is_answered_with_it(name: str):
    with pytest.raises(UnknownName, match=f"did you mean '{name}'"):
        models.check(name.removeprefix("timm:"))


def test_a_timm_model_without_timm_says_what_to_install():
    code = (
        "import sys; sys.modules['timm'] = None; import importlib.util as u; find = u.find_spec\n"
        "from trainables import models; from trainables.errors import UserMistake\n"
        "u.find_spec = lambda name, *rest: None if name == 'timm' else find(name, *rest)\n"
        "try: models.check('timm:resnet18')\n"
        "except UserMistake as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pip install timm" in result.stdout
    assert issubclass(UnknownName, UserMistake)


def test_cached_imagenet_weights_are_found_and_loaded_quietly(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    resnet_state: dict[str, Tensor],
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = torchvision_models.ResNet18_Weights.DEFAULT.url
    cached = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(resnet_state, cached)
    assert models.weights_available(SMALL)
    classifier = models.create(SMALL, 3, weights="imagenet")
    assert torch.equal(classifier.backbone.conv1.weight, resnet_state["conv1.weight"])
    assert capfd.readouterr() == ("", "")


def test_a_vision_transformer_of_timm_takes_small_images_and_has_its_loose_parameters_in_the_first_stage():
    classifier = models.create("timm:vit_tiny_patch16_224", 3)
    assert classifier(torch.randn(2, 3, 64, 64)).shape == (2, 3)
    ids = parameter_ids(classifier.stages)
    assert len(classifier.stages) <= models.num_stages("timm:anything")
    assert len(ids) == len(set(ids)) == len(list(classifier.backbone.parameters()))
    assert id(classifier.backbone.cls_token) in {id(p) for p in classifier.stages[0].parameters}


@pytest.mark.parametrize("model", MODELS)
def test_pretrained_weights_of_a_timm_model_load_from_a_file(model: str, tmp_path: Path):
    path = write_lite_weights(tmp_path / "lite.pt", model)
    classifier = models.create(model, 3, weights=str(path)).eval()
    state = torch.load(path, weights_only=True)
    assert torch.equal(classifier.backbone.conv_stem.weight, state["conv_stem.weight"])
    assert (classifier.mean, classifier.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    import timm

    assert timm.create_model(model.removeprefix("timm:")).load_state_dict(state, strict=True)
    with torch.no_grad():
        assert classifier(torch.randn(1, 3, 64, 64)).isfinite().all()
