"""A model in whole numbers of eight bits: ONNX Runtime's static quantisation, and what it costs in accuracy."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.data.cache import ImageCache, build_cache
from trainables.data.decode import Pixels
from trainables.data.preprocessing import centre_crop
from trainables.errors import RunProblem
from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.running_cost import RunningCost, of_onnx
from tuner.release.folder import (
    INT8,
    INT8_RECORD,
    METRICS_FILE,
    ONNX,
    ModelSpec,
    verify,
    write_json,
    write_manifest,
)
from tuner.release.predict import METADATA_KEY, Model, load_model
from tuner.retraining.images import Images, find_images
from tuner.runs.best_file import read_best
from tuner.runs.directory import write_atomically
from tuner.statistics.intervals import FloatArray, Interval
from tuner.statistics.log_loss import log_losses_of_probabilities
from tuner.statistics.means import mean_interval
from tuner.statistics.paired import paired_test

__all__ = ["Difference", "Quantised", "difference", "quantise", "sentences", "write_int8"]

CALIBRATION_IMAGES = 200
"""Training images from which the ranges of all numbers are taken."""

_BATCH = 8
_KINDS = ("Conv", "Gemm", "MatMul", "Add", "Clip", "Relu", "Concat")
_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool")
"""Operations that are computed in eight bits; normalisation, temperature and softmax stay as they are."""


@dataclass(frozen=True)
class Difference:
    """How the eight bits answer the same images, those of `part`, as 32 do.

    `difference` in accuracy is eight bits minus 32, a fraction, with the interval and p-value of the paired test over
    groups; `loss` is the difference of the log losses in nats. `same` is the share of images for which both name
    the same class. `trained_on` says that the model knows these images, which makes the difference look small.
    """

    part: str
    trained_on: bool
    images: int
    groups: int
    accuracy: float
    accuracy_int8: float
    difference: float
    difference_95: Interval
    p_value: float
    loss: float
    loss_95: Interval | None
    same: float
    largest_difference: float


@dataclass(frozen=True)
class Quantised:
    """The written file, what it differs in, and what both models cost to run."""

    path: Path
    differences: tuple[Difference, ...]
    before: RunningCost
    after: RunningCost


def quantise(folder: Path, data: Path | None = None, reporter: Reporter | None = None) -> Quantised:
    """Write model.int8.onnx and int8.json into a model folder, from its model.onnx, in place of earlier ones.

    The ranges come from training images. It is compared on the validation images, and if the model was trained on
    these also on the test images, unless it was trained on them too. `data` is where the images are, if not where
    they were.
    Raises RunProblem if `folder` is altered or no model folder, if the images are not those of the model, or if the
    graph can't be quantised.
    """
    reporter = reporter or Reporter()
    verify(folder)
    best, metrics = read_best(folder / "best.yaml"), _read(folder / METRICS_FILE)
    images = find_images(best, folder / "best.yaml", reporter, data=data)
    if not images.same_split:
        raise RunProblem(f"{images.folder} does not hold the images that {folder} was made from; see --data")
    model = load_model(folder)
    paths = images.paths("train")
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(CALIBRATION_IMAGES, len(paths))).astype(int))
    reporter.line(f"ranges from {len(chosen)} training images")
    pictures = _pictures(images, [paths[place] for place in chosen], model.spec)
    write_atomically(folder / INT8, lambda file: write_int8(folder / ONNX, file, pictures))
    quantised = load_model(folder / INT8)
    differences = tuple(
        _compare(model, quantised, images, part, part in metrics["trained_on"])
        for part in _parts(metrics["trained_on"])
    )
    parameters = metrics["running_cost"]["parameters"]
    before, after = (of_onnx(folder / name, parameters) for name in (ONNX, INT8))
    done = Quantised(folder / INT8, differences, before, after)
    told = {"calibration_images": len(chosen), **asdict(done), "path": INT8}
    write_json(folder / INT8_RECORD, told)
    write_manifest(folder)
    return done


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _parts(trained_on: Sequence[str]) -> tuple[str, ...]:
    """The images to compare on: validation, and the test images where these alone are new to the model."""
    return ("val", "test") if "val" in trained_on and "test" not in trained_on else ("val",)


def write_int8(source: Path, target: Path, pictures: Pixels) -> None:
    """Write the graph of `source` in eight bits to `target`; ranges are those of `pictures` [n, size, size, 3].

    Raises RunProblem if that can't be done.
    """
    import tempfile

    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from tuner.release.formats import quiet

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Hands out `pictures`, some at a time."""

        def __init__(self) -> None:
            self.batches = _batches(pictures)

        def get_next(self) -> dict[str, Pixels] | None:
            """The next batch, or None."""
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    with tempfile.TemporaryDirectory() as place, quiet():
        prepared = str(Path(place) / "prepared.onnx")
        try:
            quant_pre_process(str(source), prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                str(target),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=[*_KINDS, *_POOLS],
            )
            _forget_strangers(target)
        except Exception as error:  # ONNX Runtime has no exception class of its own here
            raise RunProblem(
                f"{source} can't be quantised ({type(error).__name__}: {(str(error).splitlines() or ['?'])[0]})"
            ) from error


def _forget_strangers(path: Path) -> None:
    """Take the limits of strangeness out: rounded features are not those that they were found for."""
    import onnx

    model = onnx.load(str(path))
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = replace(ModelSpec.from_json(entry.value, str(path)), strange_at_95=None).to_json()
    onnx.save(model, str(path))


def _batches(pictures: Pixels) -> Iterator[Pixels]:
    for start in range(0, len(pictures), _BATCH):
        yield pictures[start : start + _BATCH]


def _pictures(images: Images, paths: Sequence[str], spec: ModelSpec) -> Pixels:
    """The images as the model sees them: uint8 [n, size, size, 3]."""
    hashes = [images.hashes[path] for path in paths]
    cache = ImageCache.open(build_cache(images.folder, paths, hashes, spec.image_size, fit=spec.fit))
    return centre_crop([cache[int(row)] for row in cache.rows(paths)], spec.image_size)


def _compare(model: Model, quantised: Model, images: Images, part: str, trained_on: bool) -> Difference:
    own = images.part(part)
    pictures = _pictures(images, own.paths, model.spec)
    first, second = (_probabilities(one, pictures) for one in (model, quantised))
    return difference(first, second, own.numbers, own.groups, part, trained_on)


def difference(
    first: FloatArray,
    second: FloatArray,
    labels: npt.NDArray[np.int64],
    groups: Sequence[str],
    part: str,
    trained_on: bool,
) -> Difference:
    """How the probabilities `second` [n, classes] of eight bits differ from the `first` ones on the same images."""
    right, still = (found.argmax(axis=1) == labels for found in (first, second))
    test = paired_test(still, right, groups)
    losses = [log_losses_of_probabilities(found, labels) for found in (first, second)]
    return Difference(
        part=part,
        trained_on=trained_on,
        images=len(labels),
        groups=len(set(groups)),
        accuracy=float(right.mean()),
        accuracy_int8=float(still.mean()),
        difference=test.difference,
        difference_95=test.interval,
        p_value=test.p_value,
        loss=float((losses[1] - losses[0]).mean()),
        loss_95=mean_interval(losses[1] - losses[0], groups),
        same=float((first.argmax(axis=1) == second.argmax(axis=1)).mean()),
        largest_difference=float(np.abs(first - second).max()),
    )


def _probabilities(model: Model, pictures: Pixels) -> FloatArray:
    return np.concatenate([model(batch) for batch in _batches(pictures)]).astype(np.float64)


def sentences(done: Quantised) -> list[str]:
    """What became of it, in words."""
    before, after = done.before, done.after
    lines = [
        f"{done.path.name}: {after.megabytes:.1f} MB instead of {before.megabytes:.1f}, one image in"
        f" {after.milliseconds:.2f} ms on one thread instead of {before.milliseconds:.2f}"
    ]
    for one in done.differences:
        low, high = 100 * one.difference_95.low, 100 * one.difference_95.high
        known = " (the model was trained on them, which hides a part of the loss)" if one.trained_on else ""
        lines.append(
            f"on {one.images} {'validation' if one.part == 'val' else one.part} images of {one.groups} groups{known}:"
            f" accuracy {100 * one.accuracy_int8:.1f} % instead of {100 * one.accuracy:.1f} %, difference"
            f" {100 * one.difference:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}, p = {one.p_value:.2g}); log"
            f" loss {one.loss:+.4f}; the same class for {100 * one.same:.1f} %"
        )
    return lines
