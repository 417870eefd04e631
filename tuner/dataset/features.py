"""Features of all images of a folder from a pretrained backbone, through the caches that trials use."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables import models
from trainables.errors import InvalidValue, WeightsUnavailable
from trainables.models.selection import NAMED_SETS, backbones_of, with_weights
from tuner.cluster.isolated import results_apart
from tuner.console.reporter import Reporter, clock
from tuner.dataset.config import DataConfig
from tuner.dataset.near_duplicates import HASH, ImageFeatures, Similar, hashed_features, propose

if TYPE_CHECKING:
    from trainables.data.cache import ImageCache
    from trainables.frozen_features import FeatureCache
    from trainables.models.classifier import Classifier
    from trainables.setting import ComputeConfig
    from tuner.dataset.reading.scan import Scan

__all__ = ["find_similar", "foretell", "image_features", "usable_backbone"]

TOLD_FROM = 1000
"""From so many images on, the time is told beforehand."""

TIMED = 32
"""Images whose time tells that of all."""


def usable_backbone(config: DataConfig, reporter: Reporter) -> tuple[str, str] | None:
    """Name and weights of the first backbone of `config.backbones` that has some; None if none has.

    auto, small and all mean the small ones, and none of them is no error; a name without weights raises
    WeightsUnavailable.
    """
    if config.weights == "none":
        return None
    asked = config.backbones in NAMED_SETS
    names = backbones_of("small" if asked else config.backbones, "cpu")
    try:
        found = with_weights(names, "auto", config.weights_dir, config.side()).weights
    except WeightsUnavailable:
        if not asked or config.weights_dir is not None:
            raise
        reporter.warn(
            f"no small backbone has pretrained weights here and none can be downloaded: tuner uses a {HASH} instead,"
            " which finds copies but no pictures from another angle; give weights with --weights-dir DIR"
        )
        return None
    return next(iter(found.items()))


def image_features(
    config: DataConfig, scan: "Scan", backbone: tuple[str, str] | None, reporter: Reporter
) -> ImageFeatures:
    """The features of every image of `scan` from `backbone`, a model's name and its weights; hashes for None.

    Raises InvalidValue for features that are not finite.
    """
    started = time.perf_counter()
    paths = [image.path for image in scan.images]
    if backbone is None:
        return hashed_features(scan)
    import torch

    from trainables.data.cache import ImageCache, build_cache
    from trainables.worker import as_worker

    hashed = [image.pixels for image in scan.images]
    with reporter.progress("preparing images") as progress:
        built = build_cache(scan.folder, paths, hashed, config.side(), fit=config.fit, progress=progress)
    cache = ImageCache.open(built)
    with reporter.starting(f"{backbone[0]} is loaded"):
        classifier, features = _opened(config, backbone, cache)
    rows = cache.rows(paths)
    parts = []
    with as_worker(torch.get_num_threads()), reporter.progress("computing features") as progress:
        for start in range(0, len(rows), 512):
            parts.append(features.validation(classifier, rows[start : start + 512]).numpy())
            if progress is not None:
                progress(min(start + 512, len(rows)), len(rows))
    found = np.concatenate(parts)
    odd = int((~np.isfinite(found).all(1)).sum())
    if odd:
        raise InvalidValue(
            f"features of {odd} images from {backbone[0]} are not finite in {features.key.precision}; use other"
            " weights, or --precision fp32 if these are sound"
        )
    return ImageFeatures(found, backbone[0], time.perf_counter() - started)


def foretell(config: DataConfig, scan: "Scan", backbone: tuple[str, str] | None) -> float:
    """Seconds that `image_features` will take for all of `scan`, from `TIMED` of its images spread over it.

    Reading, shrinking and the backbone's features are timed; features that are cached already take less. Hashes, for
    None, are there.
    """
    if backbone is None:
        return 0.0
    import torch

    from trainables.data.decode import quiet_decoding, read_rgb
    from trainables.data.parallel import in_threads, num_workers
    from trainables.data.preprocessing import cache_side, picture
    from trainables.worker import as_worker

    chosen = np.unique(np.linspace(0, len(scan.images) - 1, min(TIMED, len(scan.images))).astype(int))
    paths = [scan.folder / scan.images[number].path for number in chosen]
    workers, size = num_workers(None), config.side()
    with as_worker(torch.get_num_threads()), quiet_decoding():
        classifier, compute = _classifier(config, backbone)
        _forward(classifier, compute, np.zeros((1, size, size, 3), np.uint8))
        started = time.perf_counter()
        side = cache_side(size, config.fit)
        seen = in_threads(
            lambda path: picture(read_rgb(path, scan.scale), size, side, config.fit), paths, workers
        )
        _forward(classifier, compute, np.stack(list(seen)))
        taken = time.perf_counter() - started
    return taken / len(paths) * len(scan.images)


def find_similar(config: DataConfig, scan: "Scan", reporter: Reporter) -> Similar:
    """Look for pictures of the same object among the images of `scan`; raises UserMistake for what can be mended."""
    backbone = usable_backbone(config, reporter)
    features = told_features(config, scan, backbone, reporter)
    with reporter.starting("similar pictures are looked for"):
        return propose(scan, features, config.seed)


def told_features(
    config: DataConfig, scan: "Scan", backbone: tuple[str, str] | None, reporter: Reporter
) -> ImageFeatures:
    """The features of every image of `scan`; of many, what they will take is told beforehand.

    What computes on a GPU is a process of its own: this one may go on to drive a search.
    """
    from trainables.inference import best_device

    told = len(scan.images) >= TOLD_FROM
    if backbone is None or best_device().type == "cpu":
        if told:
            with reporter.starting("what the features will take is measured"):
                seconds = foretell(config, scan, backbone)
            _tell(scan, backbone, seconds, reporter)
        return _told_after(image_features(config, scan, backbone, reporter), told, reporter)
    answers = results_apart(
        _Asked(config, scan, backbone).answer, [foretell, _quietly] if told else [_quietly]
    )
    if told:
        _tell(scan, backbone, next(answers), reporter)
    features: ImageFeatures = next(answers)
    return _told_after(features, told, reporter)


def _told_after(found: ImageFeatures, told: bool, reporter: Reporter) -> ImageFeatures:
    """`found`, after what it took was said where that was foretold."""
    if told:
        reporter.line(f"features took {clock(found.seconds)}")
    return found


def _tell(scan: "Scan", backbone: tuple[str, str] | None, expected: float, reporter: Reporter) -> None:
    source = HASH if backbone is None else backbone[0]
    reporter.line(
        f"features of {len(scan.images):,} images from {source}: about {clock(expected)}, less if they are cached"
    )


@dataclass(frozen=True)
class _Asked:
    """The images of a scan that another process works on."""

    config: DataConfig
    scan: "Scan"
    backbone: tuple[str, str]

    def answer(self, work: Callable[[DataConfig, "Scan", tuple[str, str]], Any]) -> Any:
        """What `work` finds about them."""
        return work(self.config, self.scan, self.backbone)


def _quietly(config: DataConfig, scan: "Scan", backbone: tuple[str, str] | None) -> ImageFeatures:
    return image_features(config, scan, backbone, Reporter())


def _classifier(config: DataConfig, backbone: tuple[str, str]) -> "tuple[Classifier, ComputeConfig]":
    from trainables.inference import best_device, choose_precision, placed
    from trainables.setting import ComputeConfig

    name, weights = backbone
    device = best_device()
    precision = choose_precision(config.precision, device)
    compute = ComputeConfig(config.side(), weights, precision, config.seed, device=device)
    classifier = models.create(name, 2, weights=weights, dropout=0.0, seed=config.seed)
    return placed(classifier, device).eval(), compute


def _opened(
    config: DataConfig, backbone: tuple[str, str], cache: "ImageCache"
) -> "tuple[Classifier, FeatureCache]":
    from trainables.frozen_features import FeatureCache

    classifier, compute = _classifier(config, backbone)
    return classifier, FeatureCache.shared(backbone[0], cache, compute, config.feature_cache_bytes)


def _forward(classifier: "Classifier", compute: "ComputeConfig", pictures: npt.NDArray[np.uint8]) -> None:
    import torch

    from trainables.data.batches import normalise
    from trainables.inference import autocast
    from trainables.models.classifier import flat

    images = torch.from_numpy(pictures).to(compute.device).permute(0, 3, 1, 2)
    with torch.no_grad(), autocast(compute.device, compute.precision):
        flat(classifier.features(normalise(images, classifier.mean, classifier.std))).float().cpu()
