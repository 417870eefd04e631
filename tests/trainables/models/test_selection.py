"""Listing and fetching pretrained weights."""

import pytest
import torch
from click.testing import CliRunner

from trainables import models
from trainables.errors import WeightsUnavailable
from trainables.models.selection import Weights, fetch, list_weights
from tuner.cli import commands


def test_what_torch_hub_has_is_cached_and_the_rest_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    before = list_weights(["resnet18", "vgg16"])
    assert [row.state for row in before] == ["not here", "not here"]
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / before[0].source.rpartition("/")[2]).write_bytes(b"")
    assert [row.state for row in list_weights(["resnet18", "vgg16"])] == ["cached", "not here"]


def test_only_what_is_not_here_is_fetched_and_a_failure_is_told_and_counted(monkeypatch):
    asked, said = [], []

    def create(name, classes, *, weights):
        asked.append((name, weights))
        if name == "vgg16":
            raise WeightsUnavailable("no route to host")

    monkeypatch.setattr(models, "create", create)
    rows = [
        Weights(name, 1.0, state, "")
        for name, state in (("resnet18", "cached"), ("vgg16", "not here"), ("googlenet", "not here"))
    ]
    assert fetch(rows, lambda row, word: said.append((row.model, word))) == 1
    assert asked == [("vgg16", "imagenet"), ("googlenet", "imagenet")]
    assert said == [("vgg16", "no route to host"), ("googlenet", "fetched")]


def test_the_command_ends_with_1_where_something_could_not_be_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def create(*_, **__):
        raise WeightsUnavailable("no route to host")

    monkeypatch.setattr(models, "create", create)
    result = CliRunner().invoke(commands, ["weights", "--backbones", "resnet18", "--fetch"])
    assert result.exit_code == 1
    assert "resnet18: no route to host" in result.output
    assert CliRunner().invoke(commands, ["weights", "--backbones", "resnet18"]).exit_code == 0


def test_hugging_face_s_word_for_offline_is_heard(monkeypatch):
    asked = []
    monkeypatch.setattr("trainables.models.weights.reachable", lambda url: asked.append(url) or True)
    name = "timm:convnext_nano.in12k_ft_in1k"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not models.weights_available(name)
    assert asked == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert models.weights_available(name)
    assert "convnext_nano" in asked[0]


def test_a_state_dict_in_the_folder_is_used(tmp_path):
    torch.save(models.create("resnet18", 2).backbone.state_dict(), tmp_path / "resnet18.pt")
    [row] = list_weights(["resnet18"], tmp_path)
    assert (row.state, row.source) == ("in the folder", str(tmp_path / "resnet18.pt"))
    with pytest.raises(Exception, match="must be a folder of weights"):
        list_weights(["resnet18"], tmp_path / "nowhere")
