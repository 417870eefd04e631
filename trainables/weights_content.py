"""Which file of weights a model starts from, and what is in it: "imagenet" is a word, and files change under it.

torchvision's DEFAULT, timm's tag and a repository's revision name other weights tomorrow, and anybody may replace a
file. So whoever keeps what was computed with weights keeps it under their content.
"""

import functools
import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from trainables import models
from trainables.file_digest import file_digest

__all__ = ["WeightsContent", "library_versions", "weights_content", "weights_path"]


@dataclass(frozen=True)
class WeightsContent:
    """The SHA-256 of what a model starts from, and the file it is in; None where the library keeps no file."""

    path: Path | None
    sha256: str


def weights_path(name: str, weights: str) -> Path | None:
    """The file that `name` loads under `weights` ("imagenet", "none", a file or a folder); None if there is none yet.

    Of "imagenet" it is the file in torch.hub's or Hugging Face's cache. Raises what `models.check` raises.
    """
    origin = models.weights_origin(name, weights)
    if origin == "none":
        return None
    if origin == "imagenet":
        cached = models.source(name).cached
        return None if cached is None else cached()
    file = Path(origin).expanduser()
    return file if file.is_file() else None


def weights_content(name: str, weights: str) -> WeightsContent | None:
    """What `name` starts from under `weights`; None for random weights and where there is no file.

    Pretrained weights that are not on this machine yet are fetched. Raises WeightsUnavailable if they can't be.
    """
    path = weights_path(name, weights)
    if path is None and models.weights_origin(name, weights) == "imagenet":
        if models.source(name).cached is None:
            return WeightsContent(None, _digest_of_state(name))
        models.fetch(name)
        path = weights_path(name, weights)
    return None if path is None else WeightsContent(path, file_digest(path))


@functools.cache
def library_versions() -> tuple[str, ...]:
    """The versions of torch, torchvision and timm, which build the networks and read their weights."""
    return tuple(f"{name} {_version(name)}" for name in ("torch", "torchvision", "timm"))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


@functools.cache
def _digest_of_state(name: str) -> str:
    """The digest of the pretrained state dict of `name`, whose library keeps no file that could be named."""
    import torch

    digest = hashlib.sha256()
    for key, tensor in sorted(models.fetch(name).items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
