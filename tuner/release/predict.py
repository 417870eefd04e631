"""Class probabilities of images from a model.onnx, without torch.

ONNX Runtime takes a GPU where its package for GPUs finds one; that was not run on a GPU.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.data.decode import SUFFIXES, Pixels, UnreadableImage, quiet_decoding, read_picture, read_rgb
from trainables.data.deep import KINDS
from trainables.data.parallel import in_threads, num_workers
from trainables.errors import InvalidValue, RunProblem
from trainables.wording import printable
from tuner.console.reporter import Reporter
from tuner.dataset.reading.walk import images_below
from tuner.release.folder import ONNX, ModelSpec, verify
from tuner.release.predictions import Prediction
from tuner.release.rule import Rule, make_rule

__all__ = ["answer", "find_images", "load_model", "predict", "predictions"]

BATCH = 32
METADATA_KEY = "tuner"


@dataclass(frozen=True)
class Model:
    """An ONNX Runtime session and what its pictures have to go through."""

    session: Any
    spec: ModelSpec

    def __call__(self, pictures: Pixels) -> npt.NDArray[np.float32]:
        """Probabilities [n, classes] of `pictures`, uint8 [n, size, size, 3]."""
        return np.asarray(self.session.run(["probabilities"], {"images": pictures})[0], dtype=np.float32)

    def with_strangeness(self, pictures: Pixels) -> tuple[npt.NDArray[np.float32], list[float | None]]:
        """The probabilities, and how unlike the training images each picture is; None for models that don't say."""
        if self.spec.strange_at_95 is None:
            return self(pictures), [None] * len(pictures)
        found, strange = self.session.run(["probabilities", "strangeness"], {"images": pictures})
        return np.asarray(found, dtype=np.float32), np.asarray(strange, dtype=np.float64).tolist()


def load_model(path: Path) -> Model:
    """The model in a folder that `tuner retrain` wrote, its files checked, or in a model.onnx by itself.

    Raises RunProblem in one sentence if a file is missing or altered, or if `path` is neither.
    """
    if path.is_dir() or not path.exists():
        verify(path)
        path = path / ONNX
        if not path.exists():
            raise RunProblem(f"{path} is not there: the model was written with --formats that leave it out")
    try:
        import onnxruntime
    except ImportError as error:
        raise RunProblem("predicting needs ONNX Runtime: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=_providers(onnxruntime))
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    except Exception as error:  # ONNX Runtime has no exception class of its own for a bad file
        raise RunProblem(f"{path} can't be read as an ONNX model: {_first_line(error)}") from error
    if text is None:
        raise RunProblem(f"{path} does not name its classes: it was not written by `tuner retrain`")
    return Model(session, ModelSpec.from_json(text, str(path)))


def find_images(named: Sequence[str]) -> list[Path]:
    """The image files of folders, as training finds them, of files (whatever they are) and of patterns.

    In the order given, folders by name; none twice, through whatever folders it is reached. Raises
    InvalidValue for something that is not there, DataProblem for a folder that can't be read.
    """
    found: dict[tuple[Path, str], Path] = {}
    for name in named:
        files = _found(Path(name))
        if not files:
            raise InvalidValue(f"{printable(name)} holds no image file; images end in {', '.join(SUFFIXES)}")
        for file in files:
            found.setdefault((file.parent.resolve(), file.name), file)
    return list(found.values())


def _found(place: Path) -> list[Path]:
    try:
        place = place.expanduser()
        if place.is_dir():
            return images_below(place)
        if place.exists() or place.is_symlink():
            return [place]
        hits = _matching(place)
        found = [file for hit in hits for file in (_below(hit, place) if hit.is_dir() else [hit])]
    except (OSError, RuntimeError) as error:  # a closed folder, a name that is too long, a ~ of nobody's
        raise InvalidValue(f"{printable(place)} can't be opened: {_first_line(error)}") from error
    if not hits:
        raise InvalidValue(
            f"{printable(place)} is no file, no folder, and no pattern that fits one; images end in"
            f" {', '.join(SUFFIXES)}"
        )
    return found


def _below(hit: Path, pattern: Path) -> list[Path]:
    """The images in a folder that a pattern fits, unless it is hidden and the pattern does not say so."""
    hidden = any(part.startswith(".") and part not in pattern.parts for part in hit.parts)
    return [] if hidden else images_below(hit)


def _matching(pattern: Path) -> list[Path]:
    base = Path(pattern.anchor or ".")
    try:
        return sorted(base.glob(str(pattern.relative_to(pattern.anchor))))
    except (ValueError, NotImplementedError):
        return []


def predict(
    model: Model, images: Sequence[Path], reporter: Reporter | None = None, rule: Rule | None = None
) -> list[Prediction]:
    """The answers for `images`, in their order; a file that can't be read is an answer with an error."""
    return [answer for batch in predictions(model, images, reporter, rule) for answer in batch]


def predictions(
    model: Model, images: Sequence[Path], reporter: Reporter | None = None, rule: Rule | None = None
) -> Iterator[list[Prediction]]:
    """The answers for `images`, in their order, some at a time, as soon as they are there.

    Without a `rule` it is the model's own, which names a class for every image.
    """
    done, reporter = 0, reporter or Reporter()
    with reporter.progress("predicting") as progress:
        for batch in answer(model, images, rule or make_rule(model.spec), reporter.warn):
            yield batch
            done += len(batch)
            if progress is not None:
                progress(done, len(images))


def answer(
    model: Model, images: Sequence[Path], rule: Rule, warn: Callable[[str], None]
) -> Iterator[list[Prediction]]:
    """The same without a terminal; `warn` is told what a person should know of all images together."""
    unscaled: list[str] = []
    with quiet_decoding():
        looks = in_threads(lambda path: _look(path, model.spec, unscaled), images, num_workers(None))
        for batch in _batches(zip(images, looks, strict=True)):
            yield _answer(model, rule, batch)
    if unscaled:
        kinds = " and ".join(sorted({KINDS[kind] for kind in unscaled}))
        warn(
            f"{len(unscaled):,} of {len(images):,} images are {kinds} pictures, and the model was trained on none, so"
            " it has no scale for them: 16 and 32 bits are read from 0 to 65535, floats each by its own highest value"
        )


def _look(path: Path, spec: ModelSpec, unscaled: list[str]) -> Pixels | str:
    """What the model sees of a file, or why it can't be read; notes in `unscaled` a kind of samples without a scale."""
    try:
        found = read_picture(path)
        if found.kind is not None and found.kind not in spec.scale:
            unscaled.append(found.kind)
            pixels = read_rgb(path)
        else:
            pixels = found.rgb(None if found.kind is None else spec.scale[found.kind])
        return spec.picture(pixels)
    except UnreadableImage as error:
        return str(error).removeprefix(f"{printable(path)} ")


def _batches(looks: Iterator[tuple[Path, Pixels | str]]) -> Iterator[list[tuple[Path, Pixels | str]]]:
    batch: list[tuple[Path, Pixels | str]] = []
    for look in looks:
        batch.append(look)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _answer(model: Model, rule: Rule, batch: Sequence[tuple[Path, Pixels | str]]) -> list[Prediction]:
    seen = [(str(path), look) for path, look in batch if not isinstance(look, str)]
    answers: Iterator[Prediction] = iter(())
    if seen:
        probabilities, strangeness = model.with_strangeness(np.stack([look for _, look in seen]))
        found = rule.answers([path for path, _ in seen], probabilities)
        answers = (
            replace(answer, strangeness=strange) for answer, strange in zip(found, strangeness, strict=True)
        )
    return [
        Prediction(str(path), None, look) if isinstance(look, str) else next(answers) for path, look in batch
    ]


def _providers(onnxruntime: Any) -> list[str | tuple[str, dict[str, str]]]:
    """What computes, the GPU first; there in whole fp32, since TF32, ONNX Runtime's default, answers differently."""
    offered = onnxruntime.get_available_providers()
    gpu = [("CUDAExecutionProvider", {"use_tf32": "0"})] if "CUDAExecutionProvider" in offered else []
    return [*gpu, "CPUExecutionProvider"]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
