"""Pretrained weights as torchvision and timm keep them on a machine, with random numbers in them."""

import hashlib
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from trainables import models

SMALL = "timm:test_resnet"
"""A network of timm whose weights are in a repository on Hugging Face; its file takes 2 MB."""

REPOSITORY = "models--timm--test_resnet.r160_in1k"


def use_own_libraries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision and timm look for their files below `folder`, and ask no server."""
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def put_weights(folder: Path, name: str, seed: int) -> Path:
    """The library's file of `name` after its weights became those of `seed`: as a download puts it there."""
    torch.manual_seed(seed)
    state = models.source(name).build().state_dict()
    if name == SMALL:
        return _put_revision(folder / "hub" / REPOSITORY, state)
    file = folder / "torch" / "hub" / "checkpoints" / models.source(name).url.rpartition("/")[2]
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, file)
    return file


def _put_revision(own: Path, state: dict[str, torch.Tensor]) -> Path:
    """A snapshot of a repository, of which `main` is told."""
    content = {key: tensor.contiguous() for key, tensor in state.items()}
    (own / "blobs").mkdir(parents=True, exist_ok=True)
    (own / "refs").mkdir(exist_ok=True)
    fresh = own / "blobs" / "fresh"
    save_file(content, fresh)
    name = hashlib.sha256(fresh.read_bytes()).hexdigest()
    blob, link = fresh.rename(own / "blobs" / name), own / "snapshots" / name[:40] / "model.safetensors"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(blob)
    (own / "refs" / "main").write_text(name[:40], encoding="utf-8")
    return link
