"""BatchNorm folded into the convolution before it: the same answers of a network that is not trained, in less time.

In eval mode BatchNorm is a scale and a shift of each channel, which the weights and the bias of the convolution before
it can do as well (Jacob et al. 2018, arXiv 1712.05877, 3.2). On processors, where each BatchNorm reads and writes its
whole input, this saves a third of the time of an EfficientNet-Lite in fp32; `benchmarks/speed/folding.py` measures it.
"""

import copy
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from trainables.models.classifier import Classifier

__all__ = ["folded"]

TOLERANCE = 1e-4
"""How far the features of the folded network may be off, as a share of the largest; rounding makes about 1e-5."""


@torch.no_grad()
def folded(classifier: Classifier, images: Tensor, precision: str) -> Classifier:
    """A copy of `classifier` for answers alone, its frozen BatchNorms folded in; itself where that would not help.

    `images` [b, 3, s, s] are some normalised ones: which BatchNorm follows which convolution is seen by running them,
    and where the copy's features of them are not the same, the classifier itself is returned. Only on a processor and
    in fp32, where it was measured; in bf16 the folded weights would be rounded otherwise.
    """
    if images.device.type != "cpu" or precision != "fp32":
        return classifier
    if not any(map(_answers_only, classifier.backbone.modules())):
        return classifier
    twin = copy.deepcopy(classifier)
    wanted = twin.features(images)[0]
    pairs = list(_pairs(twin, lambda: twin.features(images)))
    for convolution, norm in pairs:
        _fold(convolution, norm)
    found = twin.features(images)[0] if pairs else wanted
    close = (found - wanted).abs().max() <= TOLERANCE * wanted.abs().max()
    return twin if pairs and close else classifier


def _answers_only(module: nn.Module) -> bool:
    """Whether it is a BatchNorm of pictures, perhaps with timm's activation in it, that does not train."""
    own = type(module).__name__ in ("BatchNorm2d", "BatchNormAct2d") and isinstance(module, nn.BatchNorm2d)
    return own and not module.training and module.running_mean is not None


def _pairs(classifier: Classifier, run: Callable[[], object]) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution and the BatchNorm that reads just what it puts out, both asked once by `run`."""
    outputs: list[tuple[nn.Conv2d, Tensor]] = []
    inputs: list[tuple[nn.BatchNorm2d, Tensor]] = []
    handles = []
    for module in classifier.backbone.modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(lambda m, _i, output: outputs.append((m, output))))
        elif isinstance(module, nn.BatchNorm2d) and _answers_only(module):
            handles.append(module.register_forward_pre_hook(lambda m, given: inputs.append((m, given[0]))))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    # The tensors are held until here, so that none has the address of another.
    makers = {id(output): module for module, output in outputs}
    asked: list[nn.Module] = [module for module, _ in (*outputs, *inputs)]
    for norm, given in inputs:
        maker = makers.get(id(given))
        if maker is not None and asked.count(maker) == asked.count(norm) == 1:
            yield maker, norm


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Give `convolution` what `norm` does, and leave to `norm` its activation alone."""
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        cast(Tensor, norm.running_mean),
        cast(Tensor, norm.running_var),
        norm.eps,
        norm.weight,
        norm.bias,
    )
    layout = torch.channels_last if weight.dim() == 4 else torch.preserve_format
    convolution.weight = nn.Parameter(weight.to(memory_format=layout), requires_grad=False)
    convolution.bias = nn.Parameter(bias, requires_grad=False)
    # The module stays where it is, for stages name it; timm's does its activation and a drop that is off in eval mode.
    norm.forward = getattr(norm, "act", nn.Identity()).forward  # type: ignore[method-assign]
