"""Candidates that can't be probed cost themselves, not the probe; what was timed belongs to this machine."""

import json

import pytest
import torch
from click.testing import CliRunner
from pictures import write_pictures

import tuner
from trainables import inference, models
from trainables.errors import InvalidValue, WeightsUnavailable
from tuner.cli import commands
from tuner.probing import linear as probing
from tuner.probing import ranking as probe_module

GOOD, TOO_SMALL, ONE_SIZE = "timm:test_resnet", "timm:convnext_atto.d2_in1k", "timm:cait_xxs24_224"


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20})
    return tmp_path / "pictures"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder with good weights of one model and weights of another whose features overflow."""
    monkeypatch.setattr(models, "weights_available", lambda name: False)
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.save(models.create(GOOD, 2, seed=1).backbone.state_dict(), folder / "test_resnet.pt")
    state = models.create("resnet18", 2).backbone.state_dict()
    state["layer4.1.conv2.weight"].fill_(1e38)
    torch.save(state, folder / "resnet18.pt")
    return folder


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_candidate_that_can_not_take_the_images_is_passed_over_with_the_reason(images, monkeypatch, device):
    monkeypatch.setattr(inference, "best_device", lambda: torch.device(device))
    names = [TOO_SMALL, GOOD, ONE_SIZE]
    found = tuner.probe(images, backbones=names, weights="none", image_size=16)
    assert [row.model for row in found.rows] == [GOOD]
    for name, kind in ((TOO_SMALL, "RuntimeError"), (ONE_SIZE, "AssertionError")):
        assert found.passed_over[name].startswith(f"it fails at 16 px ({kind}: ")
        assert found.passed_over[name].endswith("; --image-size 224 would do")
    assert not any("\n" in reason for reason in found.passed_over.values())


def test_if_none_is_left_one_sentence_says_why_before_an_image_is_read(images, monkeypatch):
    monkeypatch.setattr(probe_module, "scan_and_split", lambda *_: pytest.fail("read images"))
    with pytest.raises(
        InvalidValue, match=r"^none of the 2 backbones can be probed; timm:conv.* fails at 16 px"
    ):
        tuner.probe(images, backbones=[TOO_SMALL, ONE_SIZE], weights="none", image_size=16)


def test_what_is_no_candidate_s_fault_ends_the_probe(images, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(probing, "_probe", full)
    with pytest.raises(OSError, match="No space left"):
        tuner.probe(images, backbones=GOOD, weights="none", image_size=32)


def test_a_network_whose_features_are_no_numbers_is_no_candidate(images, weights):
    found = tuner.probe(images, backbones=["resnet18", GOOD], weights_dir=weights, image_size=32)
    assert [row.model for row in found.rows] == [GOOD]
    assert found.document()["advised"] == [GOOD]
    reason = found.passed_over["resnet18"]
    assert (
        reason == f"its features of {sum(found.images.values())} images are not finite in {found.precision}"
    )
    assert json.dumps(found.document(), allow_nan=False)
    again = tuner.probe(images, backbones=["resnet18", GOOD], weights_dir=weights, image_size=32)
    assert (again.again, again.passed_over) == (1, found.passed_over)


def test_given_weights_that_are_not_numbers_are_refused_before_an_image_is_read(images, weights, monkeypatch):
    monkeypatch.setattr(probe_module, "scan_and_split", lambda *_: pytest.fail("read images"))
    state = torch.load(weights / "test_resnet.pt", weights_only=True)
    state["conv1.0.weight"][0] = float("inf")
    torch.save(state, weights / "test_resnet.pt")
    with pytest.raises(WeightsUnavailable, match=r"test_resnet\.pt.* NaN or infinite, in conv1\.0\.weight;"):
        tuner.probe(images, backbones=["resnet18", GOOD], weights_dir=weights, image_size=32)


def test_a_loss_that_is_no_number_is_no_result(images, monkeypatch):
    monkeypatch.setattr(inference, "score_logits", lambda *_: {"val_loss": float("inf")})
    with pytest.raises(InvalidValue, match="its log loss is not finite"):
        tuner.probe(images, backbones=GOOD, weights="none", image_size=32)
    assert not (images.parent / "cache" / "probes").exists()


def test_a_damaged_file_in_the_cache_costs_its_candidate_only(images, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    bad, good = (folder / models.source(name).url.rpartition("/")[2] for name in ("resnet18", "mobilenet_v2"))
    bad.write_bytes(b"rubbish")
    torch.save(models.create("mobilenet_v2", 2).backbone.state_dict(), good)
    found = tuner.probe(images, backbones=["resnet18", "mobilenet_v2"], image_size=32)
    assert [row.model for row in found.rows] == ["mobilenet_v2"]
    assert f"delete {bad}" in found.passed_over["resnet18"]


def test_the_command_names_each_that_was_passed_over_with_its_reason(images):
    names = f"{GOOD},{TOO_SMALL}"
    asked = ["probe", str(images), "--weights", "none", "--image-size", "16", "--backbones", names]
    result = CliRunner().invoke(commands, asked)
    assert result.exit_code == 0
    assert f"note: {TOO_SMALL} is skipped: it fails at 16 px" in result.output
    assert "without weights" not in result.output


def test_what_was_timed_on_another_processor_is_measured_anew(images, monkeypatch):
    def probe():
        return tuner.probe(images, backbones=GOOD, weights="none", image_size=32).again

    assert (probe(), probe()) == (0, 1)
    mine = probing.hardware()
    monkeypatch.setattr(probing, "hardware", lambda: {**mine, "processor": "another"})
    assert (probe(), probe()) == (0, 1)
    monkeypatch.setattr(probing, "hardware", lambda: {**mine, "gpus": ["another"]})
    assert probe() == 0
