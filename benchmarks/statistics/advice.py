"""Does `tuner advise` promise what comes true? More images, more of one class, more hours, from the first half of each.

    python -m benchmarks.statistics.advice

Images: of every set a half of the groups is drawn, and what twice of them will gain is predicted from that half alone,
as `tuner advise` does. The truth is that of heads on all groups, on the same images; "level" is the loss of all images
then, whose interval has to hold the luck of the half that judged, too. A class: a half of the groups of one class is
left out, of each class in turn. Hours: of recorded trials in orders of chance the first half predicts what the second
gains. An interval of 90 % is to hold the truth in 85 to 97 % of the draws; the mean error stands beside the gain. "Who
knows the mean gain" is the error, in gains, of a prophet who says the mean of all draws each time: what differs from
draw to draw nobody can foretell.

The sets are those of `benchmarks.quality.anytime_sets`, EfficientNet-Lite0 at 96 px; its features are kept in the
cache, and the losses of a draw are kept beside them in `advice-draws/`: what was interrupted goes on.
"""

import argparse
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.common import print_held_equal, say
from benchmarks.quality.anytime_sets import KNOWN, open_set
from benchmarks.quality.fine_tuning import FEATURE_BYTES, compute_config, lite_weights
from benchmarks.search.recorded_curves import read
from trainables import models
from trainables.data import cache_home
from trainables.data.cache import ImageCache, build_cache
from trainables.frozen_features import FeatureCache
from trainables.inference import placed
from tuner.advice.heads import Answered, Images, best_penalty, compressed, heads_on, solved
from tuner.advice.more_images import carried_on, points_of, without_halves
from tuner.dataset.reading.scan import scan
from tuner.statistics.groups import FOLDS, group_codes, grouped_folds
from tuner.statistics.learning_curve import LEVEL, Gain, Point, fit_curve
from tuner.statistics.log_loss import log_losses
from tuner.statistics.means import half_width
from tuner.statistics.more_trials import gain_of_more

MODEL, SIDE, DRAWS = "timm:tf_efficientnet_lite0", 96, 20
TRIALS, ORDERS = (10, 20, 40), 1000
CURVES = Path(__file__).resolve().parents[1] / "search" / "curves"
HEAD = (
    "| | draws | gain | predicted | mean error | error / gain | who knows the mean gain | 90 % intervals hold |\n"
    "|---|---|---|---|---|---|---|---|"
)
VERSION = 2
"""Of what is kept of a draw."""

Arrays = dict[str, np.ndarray]
KINDS = {"all classes": "images", "all classes, the level": "level", "one class": "class"}


@dataclass(frozen=True)
class Drawn:
    """What was predicted in one draw, and what came true."""

    mean: float
    low: float
    high: float
    truth: float
    promised: float
    gain: float


def main() -> None:
    """Predict, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=list(KNOWN), help="of the three, by default all")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"of each set, by default {DRAWS}")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"of recorded trials, by default {ORDERS}")
    options = parser.parse_args()
    draws, orders = options.draws, options.orders
    print(f"\nmore images: log loss in nats, {draws} draws a set\n{HEAD}", flush=True)
    for name in options.sets:
        rows = all_draws(name, draws)
        for title, kind in KINDS.items():
            print(row(f"{name}, {title}", [one[kind] for one in rows]), flush=True)
    print(f"\nmore hours: as many recorded trials again, {orders} orders of chance\n{HEAD}", flush=True)
    for file in sorted(CURVES.glob("*.parquet")):
        costs = np.array([float(one.values[0].min()) for one in read(file)])
        for trials in TRIALS:
            title = f"{file.stem}, after {trials} trials"
            print(row(title, list(hours(costs, trials, orders))), flush=True)
    print_held_equal(f"{MODEL}, {SIDE} px", "heads on frozen features, five folds of whole groups")


def row(title: str, rows: Sequence[Drawn]) -> str:
    """A row of the table; errors and gains are means over the draws."""
    guess, truth, gains = (
        np.array([getattr(one, name) for one in rows]) for name in ("mean", "truth", "gain")
    )
    promised = float(np.mean([one.promised for one in rows]))
    error, gain = float(np.abs(guess - truth).mean()), float(gains.mean())
    # Luck of the draw: even the mean gain, which nobody knows beforehand, misses the single ones by that much. The
    # level that all images have is one number.
    same = np.ptp(truth) == 0 and len(rows) > 1
    luck = "-" if same else f"{np.abs(truth - truth.mean()).mean() / gain:.2f}"
    held = np.mean([one.low <= one.truth <= one.high for one in rows])
    return (
        f"| {title} | {len(rows)} | {gain:.4f} | {promised:.4f} | {error:.4f} |"
        f" {error / gain:.2f} | {luck} | {100 * held:.0f} % |"
    )


def all_draws(name: str, draws: int) -> list[Mapping[str, Drawn]]:
    """The draws of a set by kind, those that are kept read, the others made."""
    images = opened(name)
    truth = heads_on(images)
    say(f"  {name}: heads on all {len(images.labels)} images lose {truth.losses.mean():.4f}")
    return [predicted(_kept_or_made(name, images, truth, draw)) for draw in range(draws)]


def _kept_or_made(name: str, images: Images, truth: Answered, draw: int) -> Arrays:
    from tuner.advice import heads

    # The losses of a draw depend on the heads; what is predicted from them is worked out anew.
    digest = hashlib.sha256(Path(str(heads.__file__)).read_bytes()).hexdigest()[:16]
    file = cache_home() / "advice-draws" / f"{VERSION}-{digest}" / f"{name}-{draw}.npz"
    if not file.exists():
        found = {**half_of_all(images, truth, draw), **half_of_one(images, draw % len(images.classes), draw)}
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **found)
        say(f"  {name}, draw {draw}")
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def half_of_all(images: Images, truth: Answered, draw: int) -> Arrays:
    """The losses of half of the groups at each size, and those of the same images by heads on all groups."""
    half = np.asarray(grouped_folds(images.labels, images.groups.tolist(), 1000 + draw, 2) <= 0)
    known = only(images, half)
    points, _ = points_of(known, heads_on(known))
    every = np.full(len(images.labels), np.nan)
    every[images.held] = truth.losses
    sizes = {f"losses@{point.share:g}": point.losses for point in points}
    after = every[np.flatnonzero(half)[known.held]]
    level = np.array(truth.losses.mean())
    return {**sizes, "groups": known.groups[known.held], "after": after, "level": level}


def half_of_one(images: Images, label: int, draw: int) -> Arrays:
    """The losses where half of the groups of class `label` is left out, of these a half again; and with all of them."""
    own = images.labels == label
    names = np.unique(images.groups[own])
    left = names[np.random.default_rng(draw).permutation(len(names))[: len(names) // 2]]
    kept = ~(own & np.isin(images.groups, left))
    known = only(images, kept)
    halves = [one.losses for one in without_halves(known, label)]
    # Then all groups of the class train, at the class's weight of before, and the same images judge.
    folds = np.full(len(images.labels), AWAY, dtype=np.int64)
    folds[kept] = known.folds
    # Whoever is left out in one class may be there in another, and stays out of training where that one is.
    fold_of = dict(zip(known.groups.tolist(), known.folds.tolist(), strict=True))
    folds[~kept] = [fold_of.get(group, AWAY) for group in images.groups[~kept].tolist()]
    away = folds == AWAY
    if away.any():
        folds[away] = group_codes(images.groups[away]) % FOLDS
    weight = np.where(np.arange(len(images.classes)) == label, kept[own].mean(), 1.0)
    after = losses_with(images, folds, kept, weight)[known.held]
    before = heads_on(known).losses
    return {
        "class_halves": np.stack(halves),
        "class_before": before,
        "class_after": after,
        "class_groups": known.groups[known.held],
    }


def predicted(found: Arrays) -> dict[str, Drawn]:
    """What the losses of a draw say of twice the images, and what came true."""
    names = sorted((name for name in found if name.startswith("losses@")), key=lambda name: float(name[7:]))
    points = [Point(float(name[7:]), found[name]) for name in names]
    curve = fit_curve(points, found["groups"])
    now = points[-1].losses[0]
    judged = np.isfinite(found["after"])
    gain = float((now - found["after"])[judged].mean())
    one, before = found["class_halves"], found["class_before"]
    single = carried_on(list(one), before, found["class_groups"])
    came = float((before - found["class_after"]).mean())
    doubled = curve.doubled
    return {
        "images": Drawn(doubled.mean, doubled.low, doubled.high, gain, doubled.mean, gain),
        "level": _level(now, found["groups"], doubled, float(found["level"]), gain),
        "class": Drawn(single.mean, single.low, single.high, came, single.mean, came),
    }


def _level(now: np.ndarray, groups: np.ndarray, doubled: Gain, truth: float, gain: float) -> Drawn:
    """The same of the loss itself, on all images, of which half have judged now."""
    own = half_width(now, groups, LEVEL) or np.inf
    # Half of the images that judge in the end have judged already.
    luck = own / np.sqrt(2)
    sides = (doubled.high - doubled.mean, doubled.mean - doubled.low)
    below, above = (float(np.hypot(luck, side)) for side in sides)
    guess = float(now.mean()) - doubled.mean
    return Drawn(guess, guess - below, guess + above, truth, doubled.mean, gain)


AWAY = -9


def losses_with(images: Images, folds: np.ndarray, kept: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The losses [kept] of the images that are `kept` [n], each by a head on all images of other `folds` [n]."""
    logits = np.full((len(folds), len(images.classes)), 0.0)
    for fold in np.unique(folds[folds >= 0]).tolist():
        out = folds == fold
        logits[out] = solved(images, ~out, out, images.l2, weight)
    return log_losses(logits, images.labels)[kept]


def only(images: Images, kept: np.ndarray) -> Images:
    """The images that are `kept` [n], as a run that has no others sees them."""
    return replace(
        images, features=images.features[kept], labels=images.labels[kept], groups=images.groups[kept]
    )


def hours(costs: np.ndarray, trials: int, orders: int) -> Iterator[Drawn]:
    """What the first `trials` of an order predict of as many again, and what these gain."""
    random = np.random.default_rng(trials)
    for _ in range(orders):
        chosen = random.permutation(costs)[: 2 * trials]
        found = gain_of_more(chosen[:trials])
        gain = float(chosen[:trials].min() - chosen.min())
        yield Drawn(found.mean, found.low, found.high, gain, found.mean, gain)


def opened(name: str) -> Images:
    """The set's images with their compressed features, and the penalty that suits them."""
    found = open_set(name)
    labels = group_codes(found.labels)
    with lite_weights([MODEL]) as weights:
        compute = compute_config(weights[MODEL], SIDE, "fp32")
        pixels = {image.path: image.pixels for image in scan(found.folder).images}
        cache = ImageCache.open(
            build_cache(found.folder, list(found.paths), [pixels[path] for path in found.paths], SIDE)
        )
        classes = tuple(np.unique(found.labels).tolist())
        classifier = models.create(MODEL, len(classes), weights=weights[MODEL], dropout=0.0, seed=0)
        features = FeatureCache.shared(MODEL, cache, compute, FEATURE_BYTES).validation(
            placed(classifier, compute.device).eval(), cache.rows(found.paths)
        )
    images = Images(compressed(features.numpy()), labels, found.groups, classes, 1.0, 0)
    return replace(images, l2=best_penalty(images))


if __name__ == "__main__":
    main()
