"""A model in eight bits beside itself: accuracy and log loss on the same images, size, time of an image.

    TUNER_POTATO_DATA=DIR python -m benchmarks.quality.eight_bits

EfficientNet-Lite0 to Lite2 fine-tuned on splits of their own test images, exported, and quantised with the training
images of the split. Both answer the validation and the test images, which the model has not seen.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import parse, print_held_equal, source
from benchmarks.quality.calibration import SETTINGS, trained
from benchmarks.quality.fine_tuning import (
    Split,
    compute_config,
    counted,
    lite_weights,
    mean_and_interval,
    open_pool,
    splits,
)
from trainables.data.decode import Pixels
from trainables.data.preprocessing import cache_side, centre_crop
from trainables.setting import ComputeConfig
from tuner.evaluation.comparison.running_cost import RunningCost, count_parameters, of_onnx
from tuner.release.folder import ModelSpec
from tuner.release.formats import write_formats
from tuner.release.int8 import Difference, difference, write_int8
from tuner.release.portable import Portable
from tuner.release.predict import Model, load_model

MODELS = tuple(f"timm:tf_efficientnet_lite{size}" for size in range(3))
EPOCHS, IMAGE_SIZE, SPLITS, TRAINING = 6, 96, 3, 300


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, splits=SPLITS, models=MODELS)
    epochs, size, training = (1, 32, 40) if options.quick else (EPOCHS, IMAGE_SIZE, TRAINING)
    pool = open_pool(size)
    models = options.models[:1] if options.quick else options.models
    chosen = list(splits(pool, 10, training))[: 1 if options.quick else options.splits]
    costs, answered = [], []
    print(
        "| model | split | images | accuracy | in 8 bits | difference, points | p | log loss | same class |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with lite_weights(models, options.quick) as weights:
        for model in models:
            compute = compute_config(weights[model], size, "auto")
            settings = {**SETTINGS, "model": model, "max_epochs": epochs}
            for split in chosen:
                found, before, after = measured(settings, split, compute)
                for one in found:
                    print_difference(model, split, one)
                    answered.append((model, one))
            costs.append((model, before, after))
    print_means(answered)
    print_costs(costs)
    print_held_equal(
        f"{source()[2]}, {counted(chosen[0])}, {size} px, {epochs} epochs, layerwise",
        "ONNX Runtime, one thread, static quantisation with at most 200 training images",
    )


def measured(
    settings: dict[str, object], split: Split, compute: ComputeConfig
) -> tuple[list[Difference], RunningCost, RunningCost]:
    """Train, export and quantise; the differences on validation and test images, and what both cost."""
    classifier = trained(settings, split, compute).classifier.cpu().float().eval()
    pool, size = split.pool, compute.image_size
    spec = ModelSpec(
        str(settings["model"]), pool.classes, size, cache_side(size), classifier.mean, classifier.std
    )
    spread = split.train[np.linspace(0, len(split.train) - 1, min(200, len(split.train))).astype(int)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_formats(Portable(classifier), spec, folder, pictures(split, spread[:16]))
        write_int8(folder / "model.onnx", folder / "model.int8.onnx", pictures(split, spread))
        whole, eight = (load_model(folder / name) for name in ("model.onnx", "model.int8.onnx"))
        found = [
            compared(whole, eight, split, part, places)
            for part, places in (("validation", split.val), ("test", split.test))
        ]
        parameters = count_parameters(classifier)
        return (
            found,
            of_onnx(folder / "model.onnx", parameters),
            of_onnx(folder / "model.int8.onnx", parameters),
        )


def pictures(split: Split, places: npt.NDArray[np.int64]) -> Pixels:
    """Images of the pool as the model sees them."""
    pool = split.pool
    size = round(min(pool.cache[0].shape[:2]) * 7 / 8)
    return centre_crop([pool.cache[int(row)] for row in pool.rows[places]], size)


def compared(
    whole: Model, eight: Model, split: Split, part: str, places: npt.NDArray[np.int64]
) -> Difference:
    """The paired difference on some images."""
    seen, pool = pictures(split, places), split.pool
    first, second = (
        np.concatenate([one(seen[i : i + 32]) for i in range(0, len(seen), 32)]) for one in (whole, eight)
    )
    labels, groups = pool.labels[places], pool.groups[places].tolist()
    found = difference(first.astype(np.float64), second.astype(np.float64), labels, groups, part, False)
    return replace(found, part=part)


def print_difference(model: str, split: Split, one: Difference) -> None:
    """The row of a model, a split and a part, as soon as it is there."""
    low, high = 100 * one.difference_95.low, 100 * one.difference_95.high
    print(
        f"| {short(model)} | {split.seed} | {one.images} {one.part} | {one.accuracy:.3f}"
        f" | {one.accuracy_int8:.3f} | {100 * one.difference:+.1f} ({low:+.1f} to {high:+.1f})"
        f" | {one.p_value:.2f} | {one.loss:+.4f} | {100 * one.same:.1f} % |",
        flush=True,
    )


def print_means(answered: list[tuple[str, Difference]]) -> None:
    """One row a model and a part: means over the splits with Student's intervals."""
    print(
        "\n| model | images | splits | difference, points | log loss | same class |\n|---|---|---|---|---|---|"
    )
    for model, part in dict.fromkeys((model, one.part) for model, one in answered):
        those = [one for name, one in answered if (name, one.part) == (model, part)]
        same = 100 * np.mean([one.same for one in those])
        points, loss = ([100 * one.difference for one in those], [one.loss for one in those])
        print(
            f"| {short(model)} | {part} | {len(those)} | {_mean(points, 1)} | {_mean(loss, 4)} | {same:.1f} % |",
            flush=True,
        )


def _mean(values: list[float], digits: int) -> str:
    """Mean and, of more than one, its interval."""
    if len(values) == 1:
        return f"{values[0]:+.{digits}f}"
    mean, low, high = mean_and_interval(values)
    return f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def print_costs(costs: list[tuple[str, RunningCost, RunningCost]]) -> None:
    """One row a model."""
    print("\n| model | parameters | MB | in 8 bits | ms an image | in 8 bits |\n|---|---|---|---|---|---|")
    for model, before, after in costs:
        print(
            f"| {short(model)} | {before.parameters / 1e6:.1f} M | {before.megabytes:.1f} | {after.megabytes:.1f} |"
            f" {before.milliseconds:.2f} | {after.milliseconds:.2f} |",
            flush=True,
        )


def short(model: str) -> str:
    """A model's name without what all share."""
    return model.removeprefix("timm:tf_")


if __name__ == "__main__":
    main()
