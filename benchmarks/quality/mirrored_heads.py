"""Heads solved on frozen features: of each image alone, and of its mirror image as well; on three kinds of images.

    TUNER_POTATO_DATA=DIR TUNER_OBJECTS_DATA=DIR TUNER_CHARACTERS_DATA=DIR python -m benchmarks.quality.mirrored_heads

About 400 images are learned from, a third of the set is tested, whole groups, as in `anytime.py`. The penalty is chosen
out of fold. "the better out of fold" is what a search does: of the two heads it takes the one with the lower loss on
the images that it learns from, each answered by a head that has not seen its group. The answers are those of the image
alone, so that a mirrored head costs nothing when it is used.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.common import print_held_equal, say
from benchmarks.quality.anytime_contenders import BACKBONES
from benchmarks.quality.anytime_sets import KNOWN, Draw, draw, open_set
from benchmarks.quality.fine_tuning import FEATURE_BYTES, compute_config, lite_weights
from trainables import models
from trainables.data.cache import ImageCache, build_cache
from trainables.frozen_features import FeatureCache
from trainables.inference import placed
from trainables.linear_probe import out_of_fold, solve
from tuner.statistics.groups import grouped_folds
from tuner.statistics.log_loss import log_losses
from tuner.statistics.means import half_width


@dataclass(frozen=True)
class Head:
    """Its loss out of fold on the images that it learned from, and the losses of the test images [m], in nats."""

    out_of_fold: float
    losses: np.ndarray


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(KNOWN))
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--pixels", type=int, default=160)
    options = parser.parse_args()
    print(
        "| set | split | backbone | alone | with mirror images | ratio | difference, 95 % | taken out of fold |"
    )
    print("|---|---|---|---|---|---|---|---|")
    ratios: dict[str, list[float]] = {}
    names = [f"timm:{name}" for name in BACKBONES]
    with lite_weights(names) as weights:
        for name in options.sets.split(","):
            for split in range(options.splits):
                drawn = draw(open_set(name), split, options.images)
                for model in names:
                    alone, both = heads(drawn, model, weights[model], options.pixels)
                    ratios.setdefault(name, []).append(_print(drawn, split, model, alone, both))
    for name, found in ratios.items():
        print(f"{name}: geometric mean of what is taken / alone: {np.exp(np.mean(np.log(found))):.3f}")
    print_held_equal(
        f"{options.images} images, {options.pixels} px", "fp32", "the same images, folds and test images"
    )


def heads(drawn: Draw, model: str, weights: str, pixels: int) -> tuple[Head, Head]:
    """The head of each image alone, and the one of mirror images as well."""
    images = drawn.images
    say(f"{images.name}: {model}")
    cache = ImageCache.open(build_cache(images.folder, images.paths, images.paths, pixels))
    classes, numbers = np.unique(images.labels, return_inverse=True)
    compute = compute_config(weights, pixels, "fp32")
    classifier = models.create(model, len(classes), weights=weights, dropout=0.0, seed=0)
    classifier = placed(classifier, compute.device).eval()
    bank = FeatureCache.shared(model, cache, compute, FEATURE_BYTES)
    rows = cache.rows(images.paths)
    learned = [bank.validation(classifier, rows[drawn.learned], mirrored=flag) for flag in (False, True)]
    tested = bank.validation(classifier, rows[drawn.tested])
    labels, groups = numbers[drawn.learned], images.groups[drawn.learned].tolist()
    folds = torch.from_numpy(grouped_folds(labels, groups, 0))

    def head(views: list[Tensor]) -> Head:
        every, of = torch.cat(views), torch.from_numpy(labels).repeat(len(views))
        found = out_of_fold(every, of, len(classes), folds.repeat(len(views)))
        held = (folds >= 0).numpy()
        own = log_losses(found.logits[: len(labels)][folds >= 0].double().numpy(), labels[held])
        layer = solve(every, of, len(classes), l2=found.l2)
        answers = F.linear(tested, *layer).double().numpy()
        return Head(float(own.mean()), log_losses(answers, numbers[drawn.tested]))

    return head(learned[:1]), head(learned)


def _print(drawn: Draw, split: int, model: str, alone: Head, both: Head) -> float:
    """A row; the loss of the head that a search takes, as a share of the one of each image alone."""
    taken = both if both.out_of_fold < alone.out_of_fold else alone
    difference, groups = both.losses - alone.losses, drawn.images.groups[drawn.tested]
    half = half_width(difference, groups)
    sure = "-" if half is None else f"{difference.mean():+.4f} ± {half:.4f}"
    first, second = alone.losses.mean(), both.losses.mean()
    print(
        f"| {drawn.images.name} | {split} | {model.rpartition('_')[2]} | {first:.4f} | {second:.4f} |"
        f" {second / first:.3f} | {sure} | {'mirrored' if taken is both else 'alone'} |",
        flush=True,
    )
    return float(taken.losses.mean() / first)


if __name__ == "__main__":
    main()
