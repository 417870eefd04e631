"""Where a model looked: Grad-CAM over a picture, with the package grad-cam (Selvaraju et al. 2017)."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.data.batches import normalise
from trainables.data.decode import Pixels
from trainables.errors import InvalidValue
from trainables.models.classifier import Classifier, channels_first

__all__ = ["Explainer", "explainer", "grad_cam_of", "has_grad_cam", "last_maps"]

Explainer = Callable[[Pixels, int], Pixels]
"""From a picture as the model sees it, uint8 [s, s, 3], and a class number to the picture under its heat map."""

_OVERLAY = 0.5


def has_grad_cam() -> bool:
    """Whether the package grad-cam is installed."""
    return importlib.util.find_spec("pytorch_grad_cam") is not None


@contextlib.contextmanager
def explainer(classifier: Classifier, image_size: int, name: str) -> Iterator[Explainer]:
    """What shows, while entered, which places of a picture spoke for a class; `name` is the model's, for the error.

    Raises InvalidValue for a model without feature maps.
    """
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with grad_cam_of(GradCAM, classifier, last_maps(classifier, image_size, name)) as cam:

        def explain(seen: Pixels, number: int) -> Pixels:
            images = torch.from_numpy(seen.copy()).permute(2, 0, 1)[None]
            tensor = normalise(images, classifier.mean, classifier.std)
            heat = cam(tensor, targets=[ClassifierOutputTarget(number)])[0]
            shown = show_cam_on_image(
                seen.astype(np.float32) / 255, heat, use_rgb=True, image_weight=1 - _OVERLAY
            )
            return np.asarray(shown, dtype=np.uint8)

        yield explain


def grad_cam_of(method: Any, classifier: Classifier, layer: nn.Module) -> Any:
    """pytorch_grad_cam's `method` on the outputs of `layer`, which it reads as [b, c, h, w]."""
    transform = partial(channels_first, layout=classifier.layout)
    return method(model=classifier, target_layers=[layer], reshape_transform=transform)


def last_maps(classifier: Classifier, image_size: int, name: str) -> nn.Module:
    """The module nearest to the head that puts out feature maps of more than one place."""
    found: list[nn.Module] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            height, width = channels_first(output, classifier.layout).shape[2:]
            if height * width > 1:
                found.append(module)

    modules = [module for stage in classifier.stages for module in stage.modules]
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(note).remove)
        with torch.inference_mode():
            classifier(torch.zeros(1, 3, image_size, image_size))
    if not found:
        raise InvalidValue(f"--explain needs a model with feature maps; {name} has none")
    return found[-1]
