"""Where the model looked: Grad-CAM pictures with the package grad-cam. Needs torch and the model's weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from trainables.data.decode import read_rgb
from trainables.errors import RunProblem
from trainables.heat_maps import explainer, grad_cam_of, has_grad_cam
from trainables.inference import load_classifier
from tuner.release.folder import WEIGHTS, ModelSpec
from tuner.release.predictions import Prediction
from tuner.runs.best_file import read_best

__all__ = ["explain", "grad_cam_of", "require_explain"]


def require_explain(folder: Path, spec: ModelSpec) -> None:
    """Raise RunProblem unless `folder` holds weights of one model and the package grad-cam is installed."""
    if not folder.is_dir():
        raise RunProblem(f"--explain needs the model folder with {WEIGHTS}, not only {folder.name}")
    if spec.members > 1:
        raise RunProblem(
            f"--explain shows where one model looked, and {folder} holds {spec.members} whose answers are averaged;"
            " leave --explain out, or retrain without --ensemble"
        )
    if not has_grad_cam():
        raise RunProblem("--explain needs the package grad-cam: pip install 'tuner[explain]'")


def explain(folder: Path, spec: ModelSpec, answers: Sequence[Prediction], out: Path) -> list[Path]:
    """One picture a readable image in `out`: what the model saw, and over it what spoke for its answer.

    The files are numbered in the order of `answers`. Raises InvalidValue for a model without feature maps.
    """
    best = read_best(folder / "best.yaml")
    classifier = load_classifier(best.config, len(spec.classes), folder / WEIGHTS)
    written = []
    with explainer(classifier, spec.image_size, spec.model) as heated:
        out.mkdir(parents=True, exist_ok=True)
        for number, answer in enumerate(answers):
            if answer.probabilities is None:
                continue
            seen = spec.picture(read_rgb(Path(answer.path), spec.scale))
            drawn = heated(seen, answer.number)
            name = f"{number:05d}-{_plain(spec.classes[answer.number])}-{_plain(Path(answer.path).stem)}.png"
            Image.fromarray(np.concatenate([seen, drawn], axis=1)).save(out / name)
            written.append(out / name)
    return written


def _plain(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in text)[:60]
