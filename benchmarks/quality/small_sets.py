"""What helps to fine-tune on few images after a solved head: rates, still BatchNorms, and what is added to these.

    TUNER_POTATO_DATA=DIR TUNER_OBJECTS_DATA=DIR TUNER_CHARACTERS_DATA=DIR python -m benchmarks.quality.small_sets
    python -m benchmarks.quality.small_sets --table

Every contender is trained from ImageNet weights on the images of a split that may be learned from, for as many
epochs as the others, and its last epoch answers the test images. Nothing is chosen on these. "Calibrated" is the log
loss under a temperature that other groups of the test images gave. Three seeds answer together by their mean
probability, or as one network of their mean weights; the share is by what the temperature of one is multiplied for that
of the mean. A row a set, split and contender goes to a file; a run that was killed goes on with those that are missing.
The last table shows, for each set, what the other two choose.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import print_held_equal, say
from benchmarks.quality.anytime_sets import KNOWN, Draw, draw, open_set
from benchmarks.quality.fine_tuning import Pool, Split, compute_config, features, lite_weights
from trainables import strategies
from trainables.config import TrialConfig
from trainables.data.cache import ImageCache, build_cache
from trainables.data.split import class_numbers
from trainables.inference import compute_logits
from trainables.temperature import calibrated_losses, fit_temperature
from trainables.training import TrainingRun
from tuner.dataset.reading.scan import scan
from tuner.release.soup import average
from tuner.statistics.calibration import mean_logits
from tuner.statistics.intervals import FloatArray
from tuner.statistics.log_loss import log_losses

MODEL, SIZE, IMAGES, EPOCHS = "timm:tf_efficientnet_lite0", 96, 400, 12

SHARED: dict[str, Any] = {
    "model": MODEL,
    "optimizer": "adamw",
    "schedule": "cosine",
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "augmentation": "light",
    "batch_size": 32,
    "patience": 0,
}
HEAD = {"strategy": "linear_probe", "probe_l2": 0.03, "max_epochs": 1}
SOLVED = {"strategy": "probe_then_full", "probe_l2": 0.03, "backbone_learning_rate": 1e-3}
MOVING = "moving BatchNorms, 3e-4"
LARGER = "1e-3, tested at 128 px, the head solved anew"
TESTED_AT = 4 / 3
"""Touvron et al. 2019 (Fixing the train-test resolution discrepancy) test at sides that are larger by 15 to 70 %."""
MODERATE = {**SOLVED, "augmentation": "moderate"}
SEEDS = "1e-3, moderate, mean answer of three seeds"
WEIGHTS = "1e-3, moderate, mean weights of three seeds"
COUNT = 3
CONTENDERS: Mapping[str, Mapping[str, Any]] = {
    "solved head": HEAD,
    MOVING: {**SOLVED, "backbone_learning_rate": 3e-4},
    "still BatchNorms, 1e-4": {**SOLVED, "backbone_learning_rate": 1e-4},
    "still BatchNorms, 3e-4": {**SOLVED, "backbone_learning_rate": 3e-4},
    "still BatchNorms, 1e-3": SOLVED,
    "still BatchNorms, 2e-3": {**SOLVED, "backbone_learning_rate": 2e-3},
    "no solved head, 3e-4": {"strategy": "full", "backbone_learning_rate": 3e-4},
    "no solved head, 1e-3": {"strategy": "full", "backbone_learning_rate": 1e-3},
    "1e-3, label smoothing 0.1": {**SOLVED, "label_smoothing": 0.1},
    "1e-3, average of weights 0.9": {**SOLVED, "ema_decay": 0.9},
    "1e-3, mixup 0.2": {**SOLVED, "mixup": 0.2},
    "1e-3, moderate augmentation": MODERATE,
    "3e-4, moderate augmentation": {**MODERATE, "backbone_learning_rate": 3e-4},
    LARGER: SOLVED,
    SEEDS: MODERATE,
    WEIGHTS: MODERATE,
}
"""The first is what every other is compared with; the second is what tuner did before its BatchNorms were still."""


def main() -> None:
    """Measure what is missing, then print."""
    options = _parse()
    if not options.table:
        with lite_weights([MODEL], options.quick) as weights:
            _measure(options, weights[MODEL])
    print_tables(_read(options.file))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=list(KNOWN), help="sets, or folders")
    parser.add_argument("--splits", type=int, default=1, help="how many splits [default: 1]")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of a training [default: {EPOCHS}]")
    parser.add_argument("--file", type=Path, default=Path("small_sets.jsonl"))
    parser.add_argument("--table", action="store_true", help="measure nothing, print what the file holds")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; means nothing")
    return parser.parse_args()


def _measure(options: argparse.Namespace, weights: str) -> None:
    there = {(row["set"], row["split"], row["name"]) for row in _read(options.file)}
    size, images, epochs = (32, 40, 2) if options.quick else (SIZE, IMAGES, options.epochs)
    for number in range(options.splits):
        for name in options.sets:
            drawn = draw(open_set(name), number, images)
            split, larger = (split_of(drawn, side, number) for side in (size, round(TESTED_AT * size)))
            for contender in options.contenders:
                if (name, number, contender) in there or (
                    contender == WEIGHTS and SEEDS in options.contenders
                ):
                    continue
                if contender in (SEEDS, WEIGHTS):
                    rows = measure_seeds(split, weights, size, epochs)
                else:
                    rows = {contender: measure(contender, split, larger, weights, size, epochs)}
                for told, row in rows.items():
                    row = {"set": name, "split": number, "name": told, "epochs": epochs, **row}
                    with options.file.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    say(f"  {name}, split {number}, {told}: {row['calibrated']:.4f}, {row['seconds']:.0f} s")


def split_of(drawn: Draw, size: int, seed: int) -> Split:
    """What is learned from and what is tested, as images of `size` pixels; the test images validate, too."""
    images = drawn.images
    pixels = {image.path: image.pixels for image in scan(images.folder).images}
    paths = list(images.paths)
    cache = ImageCache.open(build_cache(images.folder, paths, [pixels[path] for path in paths], size))
    classes = tuple(sorted(set(images.labels.tolist())))
    labels = class_numbers(images.labels.tolist(), classes)
    pool = Pool(cache, classes, cache.rows(paths), labels, images.groups)
    return Split(pool, drawn.learned, drawn.tested, drawn.tested, seed)


def measure(
    contender: str, split: Split, larger: Split, weights: str, size: int, epochs: int
) -> dict[str, Any]:
    """Train the `contender` on images of `size` pixels and score its last epoch; `larger` has larger images."""
    started = time.perf_counter()
    with moving() if contender == MOVING else still():
        run = train(CONTENDERS[contender], split, weights, size, epochs, split.seed)
    if contender == LARGER:
        split, size = larger, round(TESTED_AT * size)
        run = solved_anew(run, split, weights, size)
    return scored(answers(run, split, size), split, time.perf_counter() - started, run.compute.precision)


def train(
    settings: Mapping[str, Any], split: Split, weights: str, size: int, epochs: int, seed: int
) -> TrainingRun:
    """The configuration `settings`, trained on the images that may be learned from."""
    compute = compute_config(weights, size, "auto")
    config = TrialConfig.resolve({**SHARED, "max_epochs": epochs, **settings, "seed": seed})
    # Nothing validates: an epoch costs what training costs.
    data = replace(split.data, val_rows=split.data.val_rows[:0], val_labels=split.data.val_labels[:0])
    run = TrainingRun(config, data, compute, features(config.model, split, compute))
    for _ in run.epochs():
        pass
    return run


def answers(run: TrainingRun, split: Split, size: int) -> FloatArray:
    """Logits [test images, classes]."""
    pool, compute = split.pool, run.compute
    rows = pool.rows[split.test]
    logits = compute_logits(run.classifier, pool.cache, rows, size, compute.precision, compute.device)
    return np.asarray(logits.double().numpy())


def scored(logits: FloatArray, split: Split, seconds: float, precision: str) -> dict[str, Any]:
    """A row of what `logits` are worth."""
    labels, groups = split.pool.labels[split.test], split.pool.groups[split.test]
    return {
        "plain": float(log_losses(logits, labels).mean()),
        "calibrated": float(calibrated_losses(logits, labels, groups).mean()),
        "accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "seconds": seconds,
        "precision": precision,
        "learned": len(split.train),
        "tested": len(split.test),
    }


def measure_seeds(split: Split, weights: str, size: int, epochs: int) -> dict[str, dict[str, Any]]:
    """What the mean answer and the mean weights of `COUNT` seeds are worth, a row each."""
    started = time.perf_counter()
    logits, states = [], []
    for number in range(COUNT):
        run = train(MODERATE, split, weights, size, epochs, COUNT * split.seed + number)
        logits.append(answers(run, split, size))
        states.append({name: value.clone() for name, value in run.classifier.state_dict().items()})
    seconds, precision = time.perf_counter() - started, run.compute.precision
    run.classifier.load_state_dict(average(states))
    labels, groups = split.pool.labels[split.test], split.pool.groups[split.test]
    single = np.mean([np.log(fit_temperature(one, labels, groups)) for one in logits])
    mixed = mean_logits(logits, [1] * COUNT)
    share = {"share": fit_temperature(mixed, labels, groups) / float(np.exp(single))}
    return {
        SEEDS: {**scored(mixed, split, seconds, precision), **share},
        WEIGHTS: scored(answers(run, split, size), split, seconds, precision),
    }


def solved_anew(run: TrainingRun, split: Split, weights: str, size: int) -> TrainingRun:
    """The trained network with its head solved on the training images of `split`, of another size."""
    config = TrialConfig.resolve({**SHARED, **HEAD, "seed": split.seed})
    data = replace(split.data, val_rows=split.data.val_rows[:0], val_labels=split.data.val_labels[:0])
    other = TrainingRun(config, data, compute_config(weights, size, "auto"))
    other.classifier.load_state_dict(run.classifier.state_dict())
    other.step()
    return other


@contextmanager
def still() -> Iterator[None]:
    """Strategies as they are."""
    yield


@contextmanager
def moving() -> Iterator[None]:
    """BatchNorms that take up the statistics of the batches whatever the strategy says."""
    plan = strategies.plan
    strategies.plan = lambda config, classifier: tuple(  # type: ignore[assignment]
        replace(group, still=False) for group in plan(config, classifier)
    )
    try:
        yield
    finally:
        strategies.plan = plan


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def print_tables(rows: Sequence[Mapping[str, Any]]) -> None:
    """Log loss, accuracy and seconds of each contender on each set, and what two sets choose for the third."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    names = [name for name in CONTENDERS if all(_of(rows, one, name) for one in sets)]
    first = names[0]
    print("| contender | " + " | ".join(f"{one}: plain, calibrated, accuracy" for one in sets), end="")
    print(f" | geometric mean of calibrated / {first} |\n|" + "---|" * (len(sets) + 2))
    for name in names:
        cells = []
        for one in sets:
            own = _of(rows, one, name)
            cells.append(", ".join(f"{np.mean([row[key] for row in own]):.3f}" for key in KEYS))
        print(f"| {name} | {' | '.join(cells)} | {_ratio(rows, sets, name, first):.2f} |")
    print(f"\n| shown on | chosen on the other sets | its calibrated / {first} there | the best there |")
    print("|---|---|---|---|")
    for one in sets if len(sets) > 1 else []:
        others = [other for other in sets if other != one]
        chosen = min(names, key=lambda name: _ratio(rows, others, name, first))
        least = min(names, key=lambda name: _ratio(rows, [one], name, first))
        said = f"{_ratio(rows, [one], least, first):.2f}, {least}"
        print(f"| {one} | {chosen} | {_ratio(rows, [one], chosen, first):.2f} | {said} |")
    if shares := [row["share"] for row in rows if "share" in row]:
        print(f"\nshare of the temperature: {np.mean(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})")
    counts = {f"{row['set']}: {row['learned']} learned, {row['tested']} tested" for row in rows}
    splits = len({row["split"] for row in rows})
    epochs = ", ".join(sorted({str(row.get("epochs", EPOCHS)) for row in rows}))
    print_held_equal(f"{'; '.join(sorted(counts))}; {SIZE} px, {splits} splits", f"{MODEL}, {epochs} epochs")


KEYS = ("plain", "calibrated", "accuracy")


def _of(rows: Sequence[Mapping[str, Any]], one: str, name: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["set"] == one and row["name"] == name]


def _ratio(rows: Sequence[Mapping[str, Any]], sets: Sequence[str], name: str, first: str) -> float:
    """Geometric mean over sets of the calibrated loss in units of that of the `first`."""
    logs = [
        np.log(np.mean([row["calibrated"] for row in _of(rows, one, name)]))
        - np.log(np.mean([row["calibrated"] for row in _of(rows, one, first)]))
        for one in sets
    ]
    return float(np.exp(np.mean(logs)))


if __name__ == "__main__":
    main()
