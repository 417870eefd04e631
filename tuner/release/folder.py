"""A folder with a trained model: what its files are, and whether they are as they were written.

model.onnx  model.pt2      uint8 pictures [batch, size, size, 3] to probabilities and strangeness, preprocessing inside
model.safetensors          the weights; best.yaml says of which model, and trains it again
labels.json                classes and preprocessing, also inside each of the three
metrics.json  probabilities.parquet  training.csv  figures/  MODEL_CARD.md
manifest.json              size and SHA-256 of every file
model.int8.onnx  int8.json     the same in eight bits and what that costs, if `tuner export --int8` was asked for it
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainables.config import CROP, FITS
from trainables.data.decode import Pixels
from trainables.data.deep import Scale, scale_from, scale_record
from trainables.data.preprocessing import picture, square_in_words
from trainables.errors import InvalidValue, RunProblem, UnknownName
from tuner.runs.directory import write_atomically

__all__ = [
    "FORMATS",
    "INT8",
    "INT8_RECORD",
    "LABELS",
    "MANIFEST",
    "METRICS_FILE",
    "ONNX",
    "PT2",
    "WEIGHTS",
    "ModelSpec",
    "check_formats",
    "verify",
    "write_json",
    "write_manifest",
]

ONNX, PT2, WEIGHTS = "model.onnx", "model.pt2", "model.safetensors"
FORMATS = ("onnx", "pt2")
"""The formats of the graph, by the suffix of their file; the weights alone are written in any case."""

INT8, INT8_RECORD = "model.int8.onnx", "int8.json"
AGAIN = (INT8, INT8_RECORD)
"""Files that `tuner export --int8` makes, as often as it is asked to."""
LABELS, MANIFEST, METRICS_FILE = "labels.json", "manifest.json", "metrics.json"
FORMAT = 1

_CHUNK = 2**20


@dataclass(frozen=True)
class ModelSpec:
    """What a picture has to go through, and what the numbers that come out mean.

    An upright picture becomes an `image_size` square by `fit` (see `trainables.data.preprocessing`), uint8 RGB: crop
    scales the short side to `short_side` pixels (bilinear, antialiased) and cuts the middle out; squash and pad, whose
    `short_side` is `image_size`, cut nothing. (value / 255 - mean) / std happens inside the exported graphs. `classes`
    name the columns of the output. Of an ensemble of `members`, `mean` and `std` are those of the first.

    The probabilities are those of the logits divided by `temperature`. `scores` are what sets of classes are made
    from, see `tuner.statistics.conformal`, and `costs` what an answer costs by true class and named class; both are
    empty where there are none. `strange_at_95` is the strangeness that 95 % of the validation images stay below, 1
    being that of 99 %; None for a model that has no such output. `scale` has the levels at which pictures of more than
    eight bits are read before all that, by kind of samples, see `trainables.data.deep`.
    """

    model: str
    classes: tuple[str, ...]
    image_size: int
    short_side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    members: int = 1
    temperature: float = 1.0
    scores: tuple[tuple[float, ...], ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()
    strange_at_95: float | None = None
    scale: Scale = field(default_factory=dict)
    fit: str = CROP

    def picture(self, pixels: Pixels) -> Pixels:
        """What the model sees of an upright picture uint8 [h, w, 3]: uint8 [image_size, image_size, 3]."""
        return picture(pixels, self.image_size, self.short_side, self.fit)

    def to_json(self) -> str:
        """The same as a text, class names in their own script; `preprocessing` says in words what `picture` does."""
        content = {"format": FORMAT, **asdict(self), "scale": scale_record(self.scale)}
        content["preprocessing"] = square_in_words(self.image_size, self.short_side, self.fit)
        return json.dumps(content, ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str, where: str) -> "ModelSpec":
        """What `to_json` wrote; raises RunProblem, naming `where`, for anything else."""
        try:
            content: dict[str, Any] = json.loads(text)
            if content.pop("format") != FORMAT:
                raise RunProblem(f"{where} is of another version of tuner; retrain the model with this one")
            content.pop("preprocessing", None)
            if content.get("fit", CROP) not in FITS:
                raise ValueError(f"its fit is {content['fit']!r}, which is none of {', '.join(FITS)}")
            mean, std = (tuple(map(float, content.pop(name))) for name in ("mean", "std"))
            classes = tuple(map(str, content.pop("classes")))
            scores, costs = (_table(content.pop(name, ()), len(classes)) for name in ("scores", "costs"))
            return cls(
                **{**content, "scale": scale_from(content.get("scale"))},
                classes=classes,
                mean=_three(mean),
                std=_three(std),
                scores=scores,
                costs=costs,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RunProblem(
                f"{where} does not say what tuner's models say of themselves ({error})"
            ) from error


def check_formats(formats: Sequence[str]) -> None:
    """Raise UnknownName for a format that is none of `FORMATS`, InvalidValue if there is none at all."""
    for name in formats:
        if name not in FORMATS:
            raise UnknownName.of("format", name, FORMATS)
    if not formats:
        raise InvalidValue(f"a model folder needs at least one of the formats {', '.join(FORMATS)}")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content`, numbers that are not finite as null, any script readable."""
    text = json.dumps(_finite(content), ensure_ascii=False, indent=2, allow_nan=False)
    write_atomically(path, lambda file: file.write_text(text + "\n", encoding="utf-8"))


def write_manifest(folder: Path) -> None:
    """Write down every file that is in `folder` now."""
    files = {name: {"bytes": (folder / name).stat().st_size} for name in _names(folder)}
    digests = _digests(folder, list(files))
    content = {name: {**entry, "sha256": digests[name]} for name, entry in files.items()}
    write_json(folder / MANIFEST, {"format": FORMAT, "files": content})


def verify(folder: Path) -> None:
    """Raise RunProblem, in one sentence, unless every file of a model folder is as it was written.

    What was made from the model later and can be made again may be missing.
    """
    if not folder.is_dir():
        raise RunProblem(f"{folder} is not a model folder; give the one that `tuner retrain` wrote")
    listed = _listed(folder)
    for name, entry in listed.items():
        file = folder / name
        if not file.is_file() and name in AGAIN:
            continue
        if not file.is_file():
            raise RunProblem(f"{folder} lacks {name}, which its manifest lists; restore it, or retrain")
        if file.stat().st_size != entry["bytes"]:
            raise _altered(file)
    present = [name for name in listed if (folder / name).is_file()]
    for name, digest in _digests(folder, present).items():
        if digest != listed[name]["sha256"]:
            raise _altered(folder / name)


def _listed(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = content["files"]
        if all({"bytes", "sha256"} <= entry.keys() for entry in files.values()) and files.keys() & {
            ONNX,
            WEIGHTS,
        }:
            return files
    except FileNotFoundError:
        raise RunProblem(
            f"{folder} is not a model folder: it has no {MANIFEST}; give the folder that `tuner retrain` wrote,"
            f" or a {ONNX} by its own path"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise RunProblem(f"{path} can't be read as a manifest; restore it, or retrain")


def _altered(file: Path) -> RunProblem:
    return RunProblem(f"{file} has been altered since it was written; restore it, or retrain")


def _names(folder: Path) -> list[str]:
    found = [file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST]
    return sorted(file.relative_to(folder).as_posix() for file in found)


def _digests(folder: Path, names: list[str]) -> dict[str, str]:
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(lambda name: _sha256(folder / name), names), strict=True))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _table(rows: Any, classes: int) -> tuple[tuple[float, ...], ...]:
    """A row of numbers for each class, or none at all."""
    found = tuple(tuple(map(float, row)) for row in rows)
    if len(found) not in (0, classes):
        raise ValueError(f"{len(found)} rows for {classes} classes")
    return found


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
