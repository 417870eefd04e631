"""What a model says of pictures that are none of its classes: its strangeness, each class left out in turn.

    TUNER_POTATO_DATA=DIR python -m benchmarks.quality.ood

EfficientNet-Lite0 from ImageNet weights is fine-tuned on all classes but one, by group, and the measure is fitted to
its features; the limits are from validation images that it was not trained on. Then it sees the test images of its
classes, the class that was left out, the leaves that tuner draws, and photographs of other things: those of
scikit-image, if it is installed, else scikit-learn's two, cut into pieces.
"""

import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.common import parse, print_held_equal, say, source
from benchmarks.quality.fine_tuning import (
    FALLING,
    Pool,
    Split,
    best_epoch,
    compute_config,
    drawn,
    lite_weights,
    open_pool,
)
from trainables.data.cache import ImageCache, build_cache
from trainables.data.decode import read_rgb
from tuner.dataset.ood import MEASURES, compute_means, fit_measure, fit_strangers, strangeness
from tuner.dataset.reading.sample import sample_data
from tuner.statistics.auroc import area
from tuner.statistics.groups import grouped_folds

MODEL = "timm:tf_efficientnet_lite0"
SETTINGS: dict[str, Any] = {
    "model": MODEL,
    **FALLING,
    "augmentation": "study",
}
FOLDS = 5
"""One tests, one validates, the others train."""

OTHERS = 60
"""Drawn leaves and pieces of photographs, about."""


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, epochs=4, train=400)
    size, epochs = (32, 1) if options.quick else (96, options.epochs)
    pool = open_pool(size)
    with tempfile.TemporaryDirectory() as place, lite_weights([MODEL], options.quick) as weights:
        others = {"drawn leaves": _drawn(size), "other photographs": _photographs(Path(place), size)}
        compute = compute_config(weights[MODEL], size, "auto")
        print(
            "\n| without | measure | AUROC of the class | strange at 99 %: test | class | drawn | other photographs |"
        )
        print("|---|---|---|---|---|---|---|")
        for code, name in enumerate(pool.classes):
            _without(pool, code, others, {**SETTINGS, "max_epochs": epochs}, options.train, compute)
            say(f"  {name} is done")
    pictures = ", ".join(f"{len(cache)} {kind}" for kind, cache in others.items())
    print_held_equal(
        f"{source()[2]}, {size} px, {options.train} training images, {epochs} epochs,"
        f" {MODEL.removeprefix('timm:')} in {compute.precision}, {pictures}"
    )


def _without(
    pool: Pool,
    code: int,
    others: Mapping[str, ImageCache],
    settings: Mapping[str, Any],
    wanted: int,
    compute: Any,
) -> None:
    """Train without the class `code`, fit both measures and the better one, and print a row for each."""
    kept = np.flatnonzero(pool.labels != code)
    classes = tuple(name for number, name in enumerate(pool.classes) if number != code)
    labels = pool.labels[kept] - (pool.labels[kept] > code)
    own = Pool(pool.cache, classes, pool.rows[kept], labels, pool.groups[kept])
    block = grouped_folds(own.labels, own.groups.tolist(), 0, FOLDS)
    rest_of, val, test = (np.flatnonzero(chosen) for chosen in (block > 1, block == 1, block == 0))
    train = drawn(own, rest_of, wanted, code)
    classifier = best_epoch(settings, Split(own, train, val, test, 0), compute).classifier

    def features(cache: ImageCache, rows: np.ndarray) -> torch.Tensor:
        return compute_means(classifier, cache, rows, compute.image_size, compute.device)

    places = {"train": train, "val": val, "test": test}
    parts = {name: features(own.cache, own.rows[place]) for name, place in places.items()}
    stranger = features(pool.cache, pool.rows[pool.labels == code])
    rest = {name: features(cache, np.arange(len(cache))) for name, cache in others.items()}
    chosen = fit_strangers(parts["train"], labels[train], parts["val"], labels[val], classes)
    for measure in MEASURES:
        score = fit_measure(measure, parts["train"], labels[train])
        limit = float(np.quantile(strangeness(score, parts["val"]).numpy(), 0.99))
        shown = {"test": parts["test"], "class": stranger, **rest}
        seen = {name: strangeness(score, values).numpy() for name, values in shown.items()}
        told = np.concatenate([seen["test"], seen["class"]])
        told_apart = area(np.arange(len(told)) >= len(seen["test"]), told)
        shares = " | ".join(f"{(values > limit).mean():.1%}" for values in seen.values())
        mark = " (taken)" if measure == chosen.measure else ""
        print(f"| {pool.classes[code]} | {measure}{mark} | {told_apart:.3f} | {shares} |", flush=True)


def _drawn(size: int) -> ImageCache:
    folder, _ = sample_data()
    paths = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.jpg"))[:: 500 // OTHERS]
    return ImageCache.open(build_cache(folder, paths, paths, size))


def _photographs(place: Path, size: int) -> ImageCache:
    """Photographs of other things as files, cached."""
    paths = []
    for name, picture in _other_pictures().items():
        paths.append(f"{name}.png")
        Image.fromarray(picture).convert("RGB").save(place / paths[-1])
    return ImageCache.open(build_cache(place, paths, paths, size, cache_dir=place))


def _other_pictures() -> dict[str, np.ndarray]:
    found = importlib.util.find_spec("skimage")
    if found is not None and found.submodule_search_locations:
        # The files themselves: reading them by its functions takes more packages.
        folder = Path(found.submodule_search_locations[0]) / "data"
        files = sorted([*folder.glob("*.png"), *folder.glob("*.jpg")])
        return {file.stem: read_rgb(file) for file in files}
    from sklearn.datasets import load_sample_images

    return {
        f"{number}-{top}-{left}": picture[top : top + 200, left : left + 200]
        for number, picture in enumerate(load_sample_images().images)
        for top in range(0, 227, 75)
        for left in range(0, 440, 75)
    }


if __name__ == "__main__":
    main()
