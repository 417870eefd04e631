"""A trained classifier as safetensors, torch.export and ONNX, and the proof that all three answer alike."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainables.checkpoint import weights_of
from trainables.data.decode import Pixels
from trainables.errors import RunProblem
from trainables.models.classifier import Classifier
from tuner.release.folder import ONNX, PT2, WEIGHTS, ModelSpec

if TYPE_CHECKING:
    from torch.export import ExportedProgram

__all__ = ["OPSET", "TOLERANCE", "Portable", "largest_difference", "write_formats"]

OPSET = 18
TOLERANCE = 1e-4
"""How far probabilities of an exported model may be from those of the PyTorch model in fp32 on the CPU."""

METADATA_KEY = "tuner"
"""Under this name each format carries its ModelSpec as JSON."""

_EXTERNAL_BYTES = 1_900_000_000


class Portable(nn.Module):
    """Pictures uint8 [b, size, size, 3] to probabilities fp32 [b, classes], normalisation included."""

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        # They train and never answer: an exported model need not carry them.
        classifier.auxiliary = nn.ModuleList()
        self.register_buffer("mean", torch.tensor(classifier.mean).reshape(1, 3, 1, 1), persistent=True)
        self.register_buffer("std", torch.tensor(classifier.std).reshape(1, 3, 1, 1), persistent=True)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities [b, classes] of `images`; rows sum to 1."""
        values = images.permute(0, 3, 1, 2).float() / 255.0
        logits = self.classifier((values - self.mean) / self.std)
        return torch.softmax(logits, dim=1)


def write_formats(classifier: Classifier, spec: ModelSpec, folder: Path, images: Pixels) -> dict[str, float]:
    """Write the three files; the largest difference of probabilities on `images` [n, s, s, 3], by file.

    Raises RunProblem if a format can't be made, or differs by more than `TOLERANCE` from the PyTorch model.
    """
    from safetensors.torch import save_file

    classifier = classifier.cpu().eval()
    weights = {name: tensor.contiguous() for name, tensor in weights_of(classifier).items()}
    save_file(weights, folder / WEIGHTS, metadata={METADATA_KEY: spec.to_json()})
    portable = Portable(classifier).eval()
    with _quiet():
        try:
            exported = _export(portable, spec.image_size)
            torch.export.save(exported, folder / PT2, extra_files={"labels.json": spec.to_json()})
            _write_onnx(exported, spec, folder / ONNX)
        except Exception as error:
            raise RunProblem(
                f"{spec.model} can't be exported ({type(error).__name__}: {str(error).splitlines()[0]});"
                f" its weights are in {folder / WEIGHTS}"
            ) from error
    return _check(portable, folder, images)


def largest_difference(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The largest absolute difference between two tables of probabilities; infinite if one is not finite."""
    gap = np.abs(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))
    return float(gap.max()) if np.isfinite(gap).all() else float("inf")


def _export(portable: Portable, size: int) -> "ExportedProgram":
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=65536)
    return torch.export.export(portable, (example,), dynamic_shapes={"images": {0: batch}})


def _write_onnx(exported: "ExportedProgram", spec: ModelSpec, path: Path) -> None:
    program = torch.onnx.export(
        exported,
        dynamo=True,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["probabilities"],
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    program.model.metadata_props[METADATA_KEY] = spec.to_json()
    size = sum(tensor.numel() * tensor.element_size() for tensor in exported.state_dict.values())
    # A protobuf ends at 2 GiB: the weights of a larger model lie beside it.
    program.save(str(path), external_data=size > _EXTERNAL_BYTES)


def _check(portable: Portable, folder: Path, images: Pixels) -> dict[str, float]:
    import onnxruntime

    with torch.inference_mode():
        truth = portable(torch.from_numpy(images)).numpy()
    session = onnxruntime.InferenceSession(str(folder / ONNX), providers=["CPUExecutionProvider"])
    with _quiet():
        loaded: Any = torch.export.load(folder / PT2).module()
    answers = {
        ONNX: [session.run(None, {"images": part})[0] for part in (images, images[:1])],
        PT2: [loaded(torch.from_numpy(part)).detach().numpy() for part in (images, images[:1])],
    }
    differences = {
        name: max(largest_difference(truth, whole), largest_difference(truth[:1], one))
        for name, (whole, one) in answers.items()
    }
    for name, gap in differences.items():
        if not gap <= TOLERANCE:
            raise RunProblem(
                f"{folder / name} answers differently from the PyTorch model: probabilities up to {gap:.2g}"
                f" apart, where {TOLERANCE:g} is allowed; the weights are in {folder / WEIGHTS}"
            )
    return differences


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters' warnings and loggers are kept from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
