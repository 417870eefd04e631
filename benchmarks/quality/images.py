"""What looking at the images finds: pictures of one leaf, wrong labels, a class taken otherwise, 20,000 images.

    TUNER_POTATO_DATA=DIR python -m benchmarks.quality.images
    TUNER_POTATO_DATA=DIR python -m benchmarks.quality.images --parts labels camera

EfficientNet-Lite0 from ImageNet weights. The groups file is hidden from what proposes groups, and is the truth that
proposals are measured against. `strangers.py` beside it measures what an exported model says of other pictures.
"""

import dataclasses
import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.common import parse, print_held_equal, say, source
from benchmarks.quality.fine_tuning import (
    FALLING,
    Pool,
    Split,
    compute_config,
    fine_tune,
    lite_weights,
    mean_and_interval,
)
from benchmarks.quality.many_images import measure
from trainables.data.cache import ImageCache, build_cache
from trainables.data.split import class_numbers
from trainables.linear_probe import solve
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.dataset.features import image_features
from tuner.dataset.inspection.label_errors import SELF_CONFIDENCE, rank, suspects_of
from tuner.dataset.inspection.shortcuts import kinds_in_words, photographed
from tuner.dataset.near_duplicates import ImageFeatures, Similar, near_copies, propose
from tuner.dataset.reading.scan import Scan, scan
from tuner.dataset.splitting import leaks, make_split, read_groups
from tuner.statistics.log_loss import log_losses

MODEL = "timm:tf_efficientnet_lite0"
PARTS = ("leaves", "labels", "camera", "scale")
FRACTIONS = (0.8, 0.1, 0.1)
L2 = 0.01
"""Of the probe by which splits are compared: the same for all of them."""

FINE_TUNED: dict[str, Any] = {
    "model": MODEL,
    **FALLING,
    "augmentation": "study",
}
FLIPPED = 0.05


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, parts=PARTS, splits=8, tuned=3, epochs=3, images=20000)
    splits, epochs, images = (
        (2, 1, 300) if options.quick else (options.splits, options.epochs, options.images)
    )
    size = 32 if options.quick else 96
    folder, groups_file, words = source()
    found = scan(folder)
    truth = read_groups(found, groups_file, None)
    with lite_weights([MODEL], options.quick) as weights:
        origin = weights[MODEL]

        def features(side: int) -> ImageFeatures:
            config = DataConfig(folder=folder, image_size=side)
            return image_features(config, found, (MODEL, origin), Reporter())

        if "leaves" in options.parts:
            sides = (size,) if options.quick else (size, 224)
            leaves(
                found, truth, {side: features(side) for side in sides}, splits, epochs, origin, options.tuned
            )
        if "labels" in options.parts:
            labels(found, truth, features(size), 1 if options.quick else 3)
        if "camera" in options.parts:
            camera(found, truth)
        if "scale" in options.parts:
            measure(folder, images, size, None if options.quick else Path(origin))
    print_held_equal(
        f"{words}, {len(found.images)} images of {len(set(truth.values()))} leaves, {size} px", MODEL
    )


# ---- pictures of one leaf


def leaves(
    found: Scan,
    truth: dict[str, str],
    by_side: dict[int, ImageFeatures],
    splits: int,
    epochs: int,
    weights: str,
    tuned_splits: int,
) -> None:
    """How many leaf-mates are found, and where that puts the score of a model."""
    print(
        "\n| leaf-mates by | threshold | pairs | precision | recall | groups | precision | recall | largest |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    proposals = {f"features at {side} px": propose(found, values) for side, values in by_side.items()}
    for name, one in {"perceptual hash": near_copies(found), **proposals}.items():
        print(f"| {name} | {_threshold(one)} | {_agreement(one, truth)} |", flush=True)
    smallest, widest = min(by_side), max(by_side)
    used = {
        "random, by image": {},
        f"proposed at {widest} px": proposals[f"features at {widest} px"].names,
        "true groups": truth,
    }
    print(
        "\n| split | test images with a leaf-mate in training | probe: accuracy | log loss | fine-tuned: accuracy |"
    )
    print("|---|---|---|---|---|")
    for name, groups in used.items():
        rows, tuned, leak = [], [], []
        for seed in range(splits):
            split = make_split(found, groups, FRACTIONS, seed)
            split_truth = split.assign(group=[truth[path] for path in split["path"]])
            leak.append(leaks(split_truth) / (split["split"] == "test").sum())
            rows.append(_probed(split, by_side[smallest].values, found.classes))
            if seed < tuned_splits:
                tuned.append(_fine_tuned(found, split, smallest, epochs, weights, seed))
                say(f"  {name}, split {seed}: accuracy {rows[-1][0]:.4f}, fine-tuned {tuned[-1]:.4f}")
        accuracy, loss = (mean_and_interval([row[i] for row in rows]) for i in range(2))
        best = ", ".join(f"{value:.4f}" for value in tuned)
        print(
            f"| {name} | {np.mean(leak):.1%} | {_ends(accuracy)} | {_ends(loss)} | {best} |",
            flush=True,
        )


def _threshold(found: Similar) -> str:
    return "none" if found.threshold is None else f"{found.threshold:.2f}"


def _agreement(found: Similar, truth: dict[str, str]) -> str:
    """Pairs, and pairs within proposed groups: number, precision and recall against leaf-mates."""
    groups = np.array([truth[path] for path in found.paths])
    sizes = np.unique(groups, return_counts=True)[1]
    mates = int((sizes * (sizes - 1) // 2).sum())
    right = int((groups[found.pairs[:, 0]] == groups[found.pairs[:, 1]]).sum())
    proposed = kept = 0
    for places in found.members:
        proposed += len(places) * (len(places) - 1) // 2
        counts = np.unique(groups[places], return_counts=True)[1]
        kept += int((counts * (counts - 1) // 2).sum())
    pairs = len(found.pairs)
    return (
        f"{pairs:,} | {right / max(pairs, 1):.3f} | {right / mates:.3f} | {len(found.members)} |"
        f" {kept / max(proposed, 1):.3f} | {kept / mates:.3f} | {max(map(len, found.members), default=1)}"
    )


def _probed(split: Any, values: np.ndarray, classes: Sequence[str]) -> tuple[float, float]:
    """Accuracy and log loss on the test images of a linear probe on training and validation."""
    labels = torch.from_numpy(class_numbers(split["label"].tolist(), classes))
    test = torch.tensor((split["split"] == "test").tolist())
    features = torch.from_numpy(values)
    logits = F.linear(features[test], *solve(features[~test], labels[~test], len(classes), l2=L2))
    right = (logits.argmax(1) == labels[test]).double().mean()
    return float(right), float(log_losses(logits.numpy(), labels[test].numpy()).mean())


def _fine_tuned(found: Scan, split: Any, size: int, epochs: int, weights: str, seed: int) -> float:
    """Accuracy on the test images of a fine-tuned network."""
    pixels = {image.path: image.pixels for image in found.images}
    paths = split["path"].tolist()
    cache = ImageCache.open(build_cache(found.folder, paths, [pixels[path] for path in paths], size))
    numbers = class_numbers(split["label"].tolist(), found.classes)
    pool = Pool(cache, found.classes, cache.rows(paths), numbers, split["group"].to_numpy(dtype=str))
    places = [np.flatnonzero(split["split"] == part) for part in ("train", "val", "test")]
    whole = Split(pool, *places, seed)
    return fine_tune(
        {**FINE_TUNED, "max_epochs": epochs}, whole, compute_config(weights, size, "auto")
    ).test_accuracy


def _ends(found: tuple[float, float, float]) -> str:
    return f"{found[0]:.4f} ({found[1]:.4f} to {found[2]:.4f})"


# ---- wrong labels


def labels(found: Scan, truth: dict[str, str], features: ImageFeatures, seeds: int) -> None:
    """Labels flipped at random: how many of the first 100 are among them."""
    methods = [SELF_CONFIDENCE, *(["cleanlab"] if importlib.util.find_spec("cleanlab") else [])]
    print(f"\n| {FLIPPED:.0%} of labels flipped | among the first 100, of each seed | mean |\n|---|---|---|")
    shares: dict[str, list[float]] = {"chance": [], **{name: [] for name in methods}}
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        flipped = np.zeros(len(found.images), bool)
        flipped[random.permutation(len(flipped))[: round(FLIPPED * len(flipped))]] = True
        images = tuple(
            dataclasses.replace(
                image, label=random.choice([name for name in found.classes if name != image.label])
            )
            if wrong
            else image
            for image, wrong in zip(found.images, flipped, strict=True)
        )
        judged = suspects_of(dataclasses.replace(found, images=images), truth, features, seed)
        shares["chance"].append(float(flipped.mean()))
        for name in methods:
            order = rank(judged.given, judged.probabilities, name)[0]
            shares[name].append(float(flipped[order[:100]].mean()))
    for name, values in shares.items():
        print(
            f"| {name} | {', '.join(f'{value:.2f}' for value in values)} | {np.mean(values):.2f} |",
            flush=True,
        )


# ---- a class taken otherwise


def quality(picture: np.ndarray) -> tuple[np.ndarray, int]:
    """Stored at a lower JPEG quality."""
    return picture, 60


def smaller(picture: np.ndarray) -> tuple[np.ndarray, int]:
    """A sensor with fewer pixels."""
    return cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA), 90


def warmer(picture: np.ndarray) -> tuple[np.ndarray, int]:
    """Another white balance."""
    return np.clip(picture * np.array([1.06, 1.0, 0.92]), 0, 255).astype(np.uint8), 90


def another_camera(picture: np.ndarray) -> tuple[np.ndarray, int]:
    """All three."""
    return warmer(smaller(picture)[0])[0], 60


CHANGES: dict[str, Callable[[np.ndarray], tuple[np.ndarray, int]] | None] = {
    "nothing": None,
    "JPEG quality 60": quality,
    "224 instead of 256 px": smaller,
    "a warmer white balance": warmer,
    "all three: another camera": another_camera,
}


def camera(found: Scan, truth: dict[str, str]) -> None:
    """The real set; then one class cut in two by leaf, of which the second half is taken otherwise."""
    print(
        "\n| images | changed | class | AUC | 95 % from | warned | what tells it |\n|---|---|---|---|---|---|---|"
    )
    _say_photographed("all classes, as they are", "nothing", found, truth)
    first = max(found.classes, key=lambda name: sum(image.label == name for image in found.images))
    own = [image for image in found.images if image.label == first]
    leaves_of = sorted({truth[image.path] for image in own})
    second = set(np.random.default_rng(0).permutation(leaves_of)[: len(leaves_of) // 2].tolist())
    for name, change in CHANGES.items():
        with tempfile.TemporaryDirectory() as place:
            groups = {}
            for number, image in enumerate(own):
                half = "second" if truth[image.path] in second else "first"
                path = f"{half}/{number:04d}.jpg"
                groups[path] = truth[image.path]
                _copy(found.folder / image.path, Path(place) / path, change if half == "second" else None)
            _say_photographed("one class cut in two", name, scan(Path(place), memo=False), groups, "second")
    with tempfile.TemporaryDirectory() as place:
        rare = min(found.classes, key=lambda name: sum(image.label == name for image in found.images))
        for image in found.images:
            _copy(
                found.folder / image.path,
                Path(place) / image.path,
                another_camera if image.label == rare else None,
            )
        _say_photographed(
            f"all classes, {rare} otherwise", "another camera", scan(Path(place), memo=False), truth
        )


def _copy(
    source_file: Path, target: Path, change: Callable[[np.ndarray], tuple[np.ndarray, int]] | None
) -> None:
    """The picture, stored again: at quality 90, or as `change` says."""
    picture = cv2.cvtColor(cv2.imread(str(source_file)), cv2.COLOR_BGR2RGB)
    changed, jpeg = (picture, 90) if change is None else change(picture)
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), cv2.cvtColor(changed, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, jpeg])


def _say_photographed(
    images: str, changed: str, found: Scan, groups: dict[str, str], only: str | None = None
) -> None:
    for one in photographed(found, groups):
        if only not in (None, one.label):
            continue
        told = kinds_in_words(one.telling) or "nothing by itself"
        warned = "yes" if one.otherwise else "no"
        print(
            f"| {images} | {changed} | {one.label} | {one.auc:.3f} | {one.low:.3f} | {warned} | {told} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
