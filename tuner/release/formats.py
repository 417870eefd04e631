"""A trained classifier as safetensors, torch.export and ONNX, and the proof that all three answer alike."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainables.checkpoint import weights_of
from trainables.data.decode import Pixels
from trainables.errors import RunProblem
from tuner.release.folder import FORMATS, ONNX, PT2, WEIGHTS, ModelSpec
from tuner.release.portable import PROBABILITIES, Portable

if TYPE_CHECKING:
    from torch.export import ExportedProgram

__all__ = ["OPSET", "TOLERANCE", "largest_difference", "quiet", "write_formats"]

OPSET = 18
TOLERANCE = 1e-4
"""How far probabilities of an exported model may be from those of the PyTorch model in fp32 on the CPU."""

LOOSER = 100.0
"""By how much more strangeness may differ, as a share of itself: it divides features by small deviations."""

METADATA_KEY = "tuner"
"""Under this name each format carries its ModelSpec as JSON."""

_EXTERNAL_BYTES = 1_900_000_000


def write_formats(
    portable: Portable, spec: ModelSpec, folder: Path, images: Pixels, formats: Sequence[str] = FORMATS
) -> dict[str, float]:
    """Write the weights and `formats`; the largest difference of an output on `images` [n, s, s, 3], by file.

    Raises RunProblem if a format can't be made, or differs by more than `TOLERANCE` from the PyTorch model.
    """
    from safetensors.torch import save_file

    portable = portable.cpu().eval()
    save_file(_weights(portable), folder / WEIGHTS, metadata={METADATA_KEY: spec.to_json()})
    differences = {}
    with quiet():
        try:
            if "pt2" in formats:
                differences[PT2] = _write_pt2(portable, spec, folder / PT2, images)
            if "onnx" in formats:
                differences[ONNX] = _write_onnx(portable, spec, folder / ONNX, images)
        except Exception as error:
            raise RunProblem(
                f"{spec.model} can't be exported ({type(error).__name__}: {str(error).splitlines()[0]});"
                f" its weights are in {folder / WEIGHTS}"
            ) from error
    for name, gap in differences.items():
        if not gap <= TOLERANCE:
            raise RunProblem(
                f"{folder / name} answers differently from the PyTorch model: probabilities up to {gap:.2g}"
                f" apart, where {TOLERANCE:g} is allowed; the weights are in {folder / WEIGHTS}"
            )
    return differences


def _weights(portable: Portable) -> dict[str, Tensor]:
    """Those of the classifier; of an ensemble each member's, its number from 0 and a dot before the names."""
    states = [weights_of(classifier) for classifier in portable.classifiers]
    alone = len(states) == 1
    return {
        name if alone else f"{number}.{name}": tensor.contiguous()
        for number, state in enumerate(states)
        for name, tensor in state.items()
    }


def largest_difference(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The largest absolute difference between two tables of probabilities; infinite if one is not finite."""
    gap = np.abs(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))
    return float(gap.max()) if np.isfinite(gap).all() else float("inf")


def _export(portable: Portable, size: int) -> "ExportedProgram":
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=65536)
    return torch.export.export(portable, (example,), dynamic_shapes={"images": {0: batch}})


def _write_pt2(portable: Portable, spec: ModelSpec, path: Path, images: Pixels) -> float:
    """Write the file of torch.export; how far its answers are from the module's."""
    exported = _export(portable, spec.image_size)
    torch.export.save(exported, path, extra_files={"labels.json": spec.to_json()})
    return _gap(portable, _pt2_answers(path, portable.outputs), images)


def _write_onnx(portable: Portable, spec: ModelSpec, path: Path, images: Pixels) -> float:
    """The same of ONNX: from a traced graph, or from torch.export's where that answers differently.

    Tracing takes a tenth of the time. It knows one size of the batch only, so what it made is asked with others.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in portable.state_dict().values())
    # A protobuf ends at 2 GiB: the weights of a larger model lie beside it.
    large = size > _EXTERNAL_BYTES
    if not large:
        with contextlib.suppress(Exception):
            _trace(portable, spec, path)
            gap = _gap(portable, _onnx_answers(path, portable.outputs), images)
            if gap <= TOLERANCE:
                return gap
    program = torch.onnx.export(
        _export(portable, spec.image_size),
        dynamo=True,
        opset_version=OPSET,
        input_names=["images"],
        output_names=list(portable.outputs),
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    program.model.metadata_props[METADATA_KEY] = spec.to_json()
    program.save(str(path), external_data=large)
    return _gap(portable, _onnx_answers(path, portable.outputs), images)


def _trace(portable: Portable, spec: ModelSpec, path: Path) -> None:
    """Write the graph that one call of `portable` leaves, the size of the batch left open."""
    import onnx

    torch.onnx.export(
        _InOrder(portable).eval(),
        (torch.zeros(2, spec.image_size, spec.image_size, 3, dtype=torch.uint8),),
        str(path),
        dynamo=False,
        opset_version=OPSET,
        input_names=["images"],
        output_names=list(portable.outputs),
        dynamic_axes={name: {0: "batch"} for name in ("images", *portable.outputs)},
    )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.save(model, str(path))


class _InOrder(nn.Module):
    """What `portable` puts out, as a tuple in the order of its `outputs`."""

    def __init__(self, portable: Portable) -> None:
        super().__init__()
        self.portable = portable

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.portable(images)
        return tuple(found[name] for name in self.portable.outputs)


def _gap(portable: Portable, answer: Callable[[Pixels], Sequence[Any]], images: Pixels) -> float:
    """The largest difference between what `portable` and `answer` put out for `images`, one and all of them."""
    worst = 0.0
    for part in (images, images[:1]):
        with torch.inference_mode():
            truth, found = portable(torch.from_numpy(part)), answer(part)
        for name, own in zip(portable.outputs, found, strict=True):
            # Strangeness has no upper end: what counts is how far apart the answers are for their size.
            right = truth[name].numpy()
            size = 1.0 if name == PROBABILITIES else LOOSER * np.maximum(1.0, np.abs(right))
            worst = max(worst, largest_difference(right / size, own / size))
    return worst


def _onnx_answers(path: Path, outputs: Sequence[str]) -> Callable[[Pixels], Sequence[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: list(session.run(list(outputs), {"images": images}))


def _pt2_answers(path: Path, outputs: Sequence[str]) -> Callable[[Pixels], Sequence[Any]]:
    with quiet():
        program: Any = torch.export.load(path).module()

    def answer(images: Pixels) -> Sequence[Any]:
        found = program(torch.from_numpy(images))
        return [found[name].detach().numpy() for name in outputs]

    return answer


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporters' warnings and loggers are kept from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
