"""The one shape that all models have here: a backbone in stages, a new head, perhaps auxiliary heads."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.models.stages import Stage

TAP_SIZE = 4
"""Side of what an auxiliary head reads; torchvision/models/googlenet.py, InceptionAux.forward."""


class Classifier(nn.Module):
    """Images to logits, with the seam between what may be frozen and what always trains.

    `stages` are those of the backbone only, from the input up. `mean` and `std` are what the images are to be
    normalised with. `auxiliary` heads read the backbone's children `aux_inputs`, given with their channels; there are
    none but for GoogLeNet built with them. `layout`, NCHW or NHWC, is that of the stages' outputs of four axes.
    """

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        num_classes: int,
        stages: tuple[Stage, ...],
        *,
        dropout: float,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        auxiliary: Sequence[nn.Module] = (),
        aux_inputs: Mapping[str, int] | None = None,
        layout: str = "NCHW",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.width = width
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, num_classes))
        self.auxiliary = nn.ModuleList(auxiliary)
        self.stages = stages
        self.mean = mean
        self.std = std
        self.num_classes = num_classes
        self.aux_inputs = dict(aux_inputs or {})
        self.layout = layout

    def features(self, images: Tensor, aux_inputs: bool = False) -> tuple[Tensor, ...]:
        """Pooled features [b, d] of normalised `images` [b, 3, s, s].

        With `aux_inputs`, the auxiliary heads' inputs follow, each [b, c, 4, 4], lowest first; none for models
        without.
        """
        if not aux_inputs or not self.aux_inputs:
            return (self.backbone(images),)
        x, tapped = images, []
        for name, module in self.backbone.named_children():
            x = module(x)
            if name in self.aux_inputs:
                tapped.append(F.adaptive_avg_pool2d(x, TAP_SIZE))
        return (x, *tapped)

    def flat_width(self, aux_inputs: bool = False) -> int:
        """Columns that `flat` gives to what `features` returns with the same `aux_inputs`."""
        return self.width + (sum(self.aux_inputs.values()) * TAP_SIZE**2 if aux_inputs else 0)

    def unflat(self, joined: Tensor) -> tuple[Tensor, ...]:
        """What `flat` was made of, from [b, flat_width] with or without aux_inputs."""
        if joined.shape[1] == self.width:
            return (joined,)
        pooled, *tapped = joined.split(
            [self.width, *(channels * TAP_SIZE**2 for channels in self.aux_inputs.values())], 1
        )
        shape = (-1, TAP_SIZE, TAP_SIZE)
        return (pooled, *(tap.unflatten(1, shape) for tap in tapped))

    def classify(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Logits [b, num_classes] in fp32, then those of each auxiliary head whose input is in `features`."""
        pooled, *tapped = features
        heads = [self.head(pooled)]
        # Inputs without heads, and heads without inputs, add nothing.
        heads += [head(tap) for head, tap in zip(self.auxiliary, tapped, strict=False)]
        return tuple(logits.float() for logits in heads)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [b, num_classes] in fp32; the auxiliary heads never run here."""
        return self.classify(self.features(images))[0]


def flat(features: tuple[Tensor, ...]) -> Tensor:
    """All of `features` side by side, [b, flat_width]."""
    return torch.cat([part.flatten(1) for part in features], 1)


def channels_first(output: Tensor, layout: str) -> Tensor:
    """What a stage puts out as [b, c, h, w]; tokens [b, n, c] and vectors [b, c] are left as they are.

    >>> channels_first(torch.zeros(1, 7, 5, 96), "NHWC").shape
    torch.Size([1, 96, 7, 5])
    """
    return output.permute(0, 3, 1, 2) if output.dim() == 4 and layout == "NHWC" else output


@torch.no_grad()
def stage_shapes(classifier: Classifier, image_size: int = 224) -> dict[str, tuple[int, ...]]:
    """Shape of what each stage puts out for one image of `image_size` pixels, by stage name; channels come first."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: object) -> None:
        tensor = output[0] if isinstance(output, (tuple, list)) else output
        if isinstance(tensor, Tensor):
            shapes[name] = tuple(channels_first(tensor, classifier.layout).shape[1:])

    handles = [
        module.register_forward_hook(lambda _m, _i, output, name=stage.name: note(name, output))
        for stage in classifier.stages
        for module in stage.modules
    ]
    training = classifier.training
    classifier.eval()
    try:
        parameter = next(classifier.parameters())
        classifier(torch.zeros(1, 3, image_size, image_size, device=parameter.device))
    finally:
        classifier.train(training)
        for handle in handles:
            handle.remove()
    return shapes
