"""Files of weights that can't be read, and servers that do not answer."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from torch import Tensor
from torchvision import models as torchvision_models

from trainables import models
from trainables.errors import WeightsUnavailable
from trainables.models import weights as weight_files


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".pt", "state dict of PyTorch"), (".safetensors", "safetensors file")]
)
@pytest.mark.parametrize(
    "content", [b"", b"abc", b"not weights", b"P" * 3000], ids=["none", "abc", "text", "long"]
)
def test_what_is_wrong_with_a_file_is_said_in_words(tmp_path: Path, suffix: str, kind: str, content: bytes):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsUnavailable) as caught:
        weight_files.read(path)
    assert str(caught.value).startswith(f"{path} is no {kind}, or a damaged one; ")
    assert "(" not in str(caught.value).removeprefix(str(path)).replace("state_dict()", "")


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_a_damaged_file_in_torch_s_cache_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = (
        tmp_path / "hub" / "checkpoints" / torchvision_models.ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    )
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(WeightsUnavailable) as caught:
        models.create("resnet18", 3, weights="imagenet")
    assert str(caught.value) == (
        f"the cached weights of resnet18 are damaged; delete {file}, then fetch them again:"
        " tuner weights --backbones resnet18 --fetch"
    )


def test_of_a_damaged_file_in_hugging_face_s_cache_the_one_that_the_link_leads_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    own = tmp_path / "models--timm--test_resnet.r160_in1k"
    for folder in ("blobs", "refs", "snapshots/1a2b"):
        (own / folder).mkdir(parents=True)
    (own / "refs" / "main").write_text("1a2b", encoding="utf-8")
    blob, link = own / "blobs" / "3c4d", own / "snapshots" / "1a2b" / "model.safetensors"
    blob.write_bytes(b"P" * 3000)
    link.symlink_to(blob)
    # While the blob is there, no new one is fetched for a link that is gone.
    with pytest.raises(WeightsUnavailable, match=f"timm:test_resnet are damaged; delete {blob}, then fetch"):
        models.create("timm:test_resnet", 3, weights="imagenet")
    assert models.weights_available("timm:test_resnet")
    blob.unlink()
    assert models.source("timm:test_resnet").cached() is None


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("key", ["layer1.0.conv1.weight", "layer4.1.bn2.running_var"])
def test_weights_that_are_not_numbers_are_refused_with_the_key(tmp_path: Path, key: str, number: float):
    state = models.create("resnet18", 2).backbone.state_dict()
    state[key].view(-1)[-1] = number
    path = tmp_path / "diverged.pt"
    torch.save(state, path)
    with pytest.raises(
        WeightsUnavailable, match=rf"diverged\.pt.* NaN or infinite, in {re.escape(key)}; give "
    ):
        models.create("resnet18", 2, weights=str(path))


def test_a_head_that_is_made_anew_may_have_held_anything(tmp_path: Path):
    state = models.source("resnet18").build().state_dict()
    state["fc.weight"].fill_(float("nan"))
    torch.save(state, tmp_path / "headless.pt")
    models.create("resnet18", 2, weights=str(tmp_path / "headless.pt"))
    own = models.create("resnet18", 2).state_dict()
    own["head.1.bias"][0] = float("nan")
    torch.save(own, tmp_path / "own.pt")
    with pytest.raises(WeightsUnavailable, match=r"NaN or infinite, in head\.1\.bias"):
        models.create("resnet18", 2, weights=str(tmp_path / "own.pt"))


@pytest.fixture
def server() -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            status = {"/there": 200, "/moved": 302}.get(self.path, 404)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/storage")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_file_is_reachable_only_if_its_server_has_it(server: str):
    assert weight_files.reachable(f"{server}/there")
    assert weight_files.reachable(f"{server}/moved")
    assert not weight_files.reachable(f"{server}/elsewhere")
    assert not weight_files.reachable("http://127.0.0.1:1/there")


def test_a_server_whose_name_nobody_looks_up_in_time_is_not_reachable(monkeypatch: pytest.MonkeyPatch):
    hang = threading.Event()
    monkeypatch.setattr(weight_files, "_answers", lambda url: hang.wait())
    monkeypatch.setattr(weight_files, "ANSWER_S", 0.01)
    assert not weight_files.reachable("http://127.0.0.1:1/there")
    hang.set()


def test_weights_that_can_not_be_had_name_the_ways_out():
    def refuse() -> dict[str, Tensor]:
        raise OSError("no route to host\nsecond line")

    with pytest.raises(WeightsUnavailable) as caught:
        weight_files.download("resnet18", refuse)
    for way in ("resnet18", "no route to host", "tuner weights --fetch", "TORCH_HOME"):
        assert way in str(caught.value)
    assert "\n" not in str(caught.value)
