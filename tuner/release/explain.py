"""Where the model looked: Grad-CAM pictures with the package grad-cam. Needs torch and the model's weights."""

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from trainables.data.batches import normalise
from trainables.data.decode import read_rgb
from trainables.errors import InvalidValue, RunProblem
from trainables.inference import load_classifier
from trainables.models.classifier import Classifier, channels_first
from tuner.release.folder import WEIGHTS, ModelSpec
from tuner.release.predictions import Prediction
from tuner.runs.best import read_best

__all__ = ["explain", "grad_cam_of", "require_explain"]

_OVERLAY = 0.5


def require_explain(folder: Path, spec: ModelSpec) -> None:
    """Raise RunProblem unless `folder` holds weights of one model and the package grad-cam is installed."""
    if not folder.is_dir():
        raise RunProblem(f"--explain needs the model folder with {WEIGHTS}, not only {folder.name}")
    if spec.members > 1:
        raise RunProblem(
            f"--explain shows where one model looked, and {folder} holds {spec.members} whose answers are averaged;"
            " leave --explain out, or retrain without --ensemble"
        )
    import importlib.util

    if importlib.util.find_spec("pytorch_grad_cam") is None:
        raise RunProblem("--explain needs the package grad-cam: pip install 'tuner[explain]'")


def explain(folder: Path, spec: ModelSpec, answers: Sequence[Prediction], out: Path) -> list[Path]:
    """One picture a readable image in `out`: what the model saw, and over it what spoke for its answer.

    Selvaraju et al. 2017. The files are numbered in the order of `answers`. Raises InvalidValue for a model
    without feature maps.
    """
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    best = read_best(folder / "best.yaml")
    classifier = load_classifier(best.config, len(spec.classes), folder / WEIGHTS)
    layer = _last_maps(classifier, spec)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with grad_cam_of(GradCAM, classifier, layer) as cam:
        for number, answer in enumerate(answers):
            if answer.probabilities is None:
                continue
            pixels = read_rgb(Path(answer.path), spec.scale)
            seen = spec.picture(pixels)
            best_class = answer.number
            heat = cam(_tensor(seen, spec), targets=[ClassifierOutputTarget(best_class)])[0]
            drawn = show_cam_on_image(
                seen.astype(np.float32) / 255, heat, use_rgb=True, image_weight=1 - _OVERLAY
            )
            name = f"{number:05d}-{_plain(spec.classes[best_class])}-{_plain(Path(answer.path).stem)}.png"
            Image.fromarray(np.concatenate([seen, drawn], axis=1)).save(out / name)
            written.append(out / name)
    return written


def grad_cam_of(method: Any, classifier: Classifier, layer: nn.Module) -> Any:
    """pytorch_grad_cam's `method` on the outputs of `layer`, which it reads as [b, c, h, w]."""
    transform = partial(channels_first, layout=classifier.layout)
    return method(model=classifier, target_layers=[layer], reshape_transform=transform)


def _tensor(seen: Any, spec: ModelSpec) -> Tensor:
    images = torch.from_numpy(seen.copy()).permute(2, 0, 1)[None]
    return normalise(images, spec.mean, spec.std)


def _last_maps(classifier: Classifier, spec: ModelSpec) -> nn.Module:
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
            classifier(torch.zeros(1, 3, spec.image_size, spec.image_size))
    if not found:
        raise InvalidValue(f"--explain needs a model with feature maps; {spec.model} has none")
    return found[-1]


def _plain(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in text)[:60]
