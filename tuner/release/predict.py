"""Class probabilities of images from a model.onnx, without torch.

ONNX Runtime takes a GPU where its package for GPUs finds one; that was not run on a GPU.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.data.decode import SUFFIXES, Pixels, UnreadableImage, quiet_decoding, read_rgb
from trainables.data.parallel import in_threads, num_workers
from trainables.data.preprocessing import picture
from trainables.errors import InvalidValue, RunProblem
from tuner.release.folder import ONNX, ModelSpec, verify
from tuner.runs.directory import write_atomically
from tuner.tracking.reporter import Reporter

__all__ = ["Prediction", "find_images", "load_model", "predict", "write_predictions"]

BATCH = 32
METADATA_KEY = "tuner"
OUT_SUFFIXES = (".parquet", ".csv", ".json")
FIXED = ("path", "class", "probability", "error")


@dataclass(frozen=True)
class Prediction:
    """The answer for one image: one probability a class, or None and the `error` why not."""

    path: str
    probabilities: tuple[float, ...] | None
    error: str | None = None

    def row(self, classes: Sequence[str]) -> dict[str, Any]:
        """As a row of the table: path, class, probability, error, then one column a class."""
        names = [f"class {name}" if name in FIXED else name for name in classes]
        if self.probabilities is None:
            empty = {"class": None, "probability": None, "error": self.error}
            return {"path": self.path, **empty, **dict.fromkeys(names)}
        best = max(range(len(classes)), key=self.probabilities.__getitem__)
        found = {"class": classes[best], "probability": self.probabilities[best], "error": None}
        return {"path": self.path, **found, **dict(zip(names, self.probabilities, strict=True))}


@dataclass(frozen=True)
class Model:
    """An ONNX Runtime session and what its pictures have to go through."""

    session: Any
    spec: ModelSpec

    def __call__(self, pictures: Pixels) -> npt.NDArray[np.float32]:
        """Probabilities [n, classes] of `pictures`, uint8 [n, size, size, 3]."""
        return np.asarray(self.session.run(None, {"images": pictures})[0], dtype=np.float32)


def load_model(path: Path) -> Model:
    """The model in a folder that `tuner retrain` wrote, its files checked, or in a model.onnx by itself.

    Raises RunProblem in one sentence if a file is missing or altered, or if `path` is neither.
    """
    if path.is_dir() or not path.exists():
        verify(path)
        path = path / ONNX
    try:
        import onnxruntime
    except ImportError as error:
        raise RunProblem("predicting needs ONNX Runtime: pip install 'tuner[predict]'") from error
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
    """The image files of folders (whatever is below them), of files (whatever they are) and of globs.

    In the order given, folders by name, none twice. Raises InvalidValue for something that is not there.
    """
    found: dict[Path, None] = {}
    for name in named:
        place = Path(name).expanduser()
        if place.is_dir():
            files = _images_below(place)
            wanted = "holds no image file"
        elif place.exists():
            files, wanted = [place], ""
        else:
            files = _matching(place)
            wanted = "is no file, no folder, and no pattern that fits one"
        if not files:
            raise InvalidValue(f"{name} {wanted}; images end in {', '.join(SUFFIXES)}")
        found.update(dict.fromkeys(files))
    return list(found)


def predict(model: Model, images: Sequence[Path], reporter: Reporter | None = None) -> list[Prediction]:
    """The answers for `images`, in their order; a file that can't be read is an answer with an error."""
    spec = model.spec
    answers: list[Prediction] = []
    with quiet_decoding(), (reporter or Reporter()).progress("predicting") as progress:
        looks = in_threads(lambda path: _look(path, spec), images, num_workers(None))
        for batch in _batches(zip(images, looks, strict=True)):
            answers += _answer(model, batch)
            if progress is not None:
                progress(len(answers), len(images))
    return answers


def write_predictions(answers: Sequence[Prediction], classes: Sequence[str], path: Path) -> None:
    """Write one row an image to `path`, whose suffix says how; raises InvalidValue for another suffix."""
    check_suffix(path)
    rows = [answer.row(classes) for answer in answers]
    writers = {".parquet": _write_parquet, ".csv": _write_csv, ".json": _write_json}
    try:
        write_atomically(path, lambda file: writers[path.suffix.lower()](rows, file))
    except FileNotFoundError as error:
        raise InvalidValue(f"{path} can't be written: its folder does not exist") from error


def check_suffix(path: Path) -> None:
    """Raise InvalidValue unless predictions can be written to such a file."""
    if path.suffix.lower() not in OUT_SUFFIXES:
        raise InvalidValue(f"--out {path} must end in {', '.join(OUT_SUFFIXES)}")


def _look(path: Path, spec: ModelSpec) -> Pixels | str:
    try:
        return picture(read_rgb(path), spec.image_size, spec.short_side)
    except UnreadableImage as error:
        return str(error).removeprefix(f"{path} ")


def _batches(looks: Iterator[tuple[Path, Pixels | str]]) -> Iterator[list[tuple[Path, Pixels | str]]]:
    batch: list[tuple[Path, Pixels | str]] = []
    for look in looks:
        batch.append(look)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _answer(model: Model, batch: Sequence[tuple[Path, Pixels | str]]) -> list[Prediction]:
    pictures = [look for _, look in batch if not isinstance(look, str)]
    rows = iter(model(np.stack(pictures)).tolist() if pictures else [])
    return [
        Prediction(str(path), None, look)
        if isinstance(look, str)
        else Prediction(str(path), tuple(next(rows)))
        for path, look in batch
    ]


def _matching(pattern: Path) -> list[Path]:
    base = Path(pattern.anchor or ".")
    try:
        hits = base.glob(str(pattern.relative_to(pattern.anchor)))
        return sorted(hit for hit in hits if hit.is_file())
    except (ValueError, NotImplementedError):
        return []


def _images_below(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(
        file for file in files if not any(p.startswith(".") for p in file.relative_to(folder).parts)
    )


def _providers(onnxruntime: Any) -> list[str]:
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    return [name for name in wanted if name in onnxruntime.get_available_providers()]


def _write_parquet(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = {"path", "class", "error"}
    kinds = [(name, pa.string() if name in text else pa.float64()) for name in rows[0]]
    pq.write_table(pa.Table.from_pylist(list(rows), schema=pa.schema(kinds)), path)


def _write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write_json(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    path.write_text(json.dumps(list(rows), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
