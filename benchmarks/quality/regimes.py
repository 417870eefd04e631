"""Which recipes a search of `auto` is to begin with: each on few and on many images, fine, far and unbalanced ones.

    TUNER_POTATO_DATA=DIR TUNER_OBJECTS_DATA=DIR TUNER_CHARACTERS_DATA=DIR python -m benchmarks.quality.regimes
    python -m benchmarks.quality.regimes --table

Regimes: `few` (100 photographs of leaves), `fine` (400 of them), `far` from ImageNet (handwritten characters), `many`
(all objects that are not tested) and `unbalanced` (objects, every second class cut to a fifth). Every recipe fine-tunes
after a solved head, BatchNorms still, and differs in one thing. Losses are of test images, under a temperature that
other test groups gave. Chosen are, one after the other, the recipes that lower the mean over the regimes of the best
regret so far most; the last table leaves each regime out of the choice and shows it there. A row goes to a file; a run
that was killed goes on with those that are missing.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import print_held_equal, say
from benchmarks.quality.anytime_sets import Draw, ImageSet, draw, open_set
from benchmarks.quality.fine_tuning import Split, lite_weights
from benchmarks.quality.small_sets import EPOCHS, MODEL, SIZE, SOLVED, answers, scored, split_of, train

EVERYTHING = 1_000_000
CUT_TO = 0.2
NUM_CHOSEN = 5
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "moderate augmentation": {**SOLVED, "augmentation": "moderate"},
    "light augmentation": SOLVED,
    "label smoothing 0.1": {**SOLVED, "label_smoothing": 0.1},
    "strong augmentation": {**SOLVED, "augmentation": "strong"},
    "moderate, mixup 0.2": {**SOLVED, "augmentation": "moderate", "mixup": 0.2},
    "moderate, weights of classes": {**SOLVED, "augmentation": "moderate", "class_weight_power": 0.5},
}


def _unbalanced(images: ImageSet, split: int) -> Draw:
    """Of every second class a fifth of the images that may be learned from."""
    drawn = draw(images, split, 400)
    random = np.random.default_rng(split)
    labels = images.labels[drawn.learned]
    kept = [
        place
        for number, label in enumerate(sorted(set(labels.tolist())))
        for own in [drawn.learned[labels == label]]
        for place in (random.permutation(own)[: max(2, round(CUT_TO * len(own)))] if number % 2 else own)
    ]
    return replace(drawn, learned=np.sort(np.array(kept)))


REGIMES: Mapping[str, Callable[[int], Draw]] = {
    "few": lambda split: draw(open_set("leaves"), split, 100),
    "fine": lambda split: draw(open_set("leaves"), split, 400),
    "far": lambda split: draw(open_set("characters"), split, 400),
    "unbalanced": lambda split: _unbalanced(open_set("objects"), split),
    "many": lambda split: draw(open_set("objects"), split, EVERYTHING),
}


def main() -> None:
    """Measure what is missing, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--regimes", nargs="+", default=list(REGIMES), choices=list(REGIMES))
    parser.add_argument("--splits", type=int, default=1, help="how many splits [default: 1]")
    parser.add_argument("--file", type=Path, default=Path("regimes.jsonl"))
    parser.add_argument("--table", action="store_true", help="measure nothing, print what the file holds")
    options = parser.parse_args()
    if not options.table:
        with lite_weights([MODEL]) as weights:
            _measure(options, weights[MODEL])
    rows = [json.loads(line) for line in options.file.read_text().splitlines()]
    print_tables(rows)


def _measure(options: argparse.Namespace, weights: str) -> None:
    there = set()
    if options.file.exists():
        rows = [json.loads(line) for line in options.file.read_text().splitlines()]
        there = {(row["regime"], row["split"], row["recipe"]) for row in rows}
    for number in range(options.splits):
        for regime in options.regimes:
            split = split_of(REGIMES[regime](number), SIZE, number)
            for recipe, settings in RECIPES.items():
                if (regime, number, recipe) in there:
                    continue
                row = {"regime": regime, "split": number, "recipe": recipe}
                row |= measure(settings, split, weights)
                with options.file.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                say(f"  {regime}, split {number}, {recipe}: {row['calibrated']:.4f}, {row['seconds']:.0f} s")


def measure(settings: Mapping[str, Any], split: Split, weights: str) -> dict[str, Any]:
    """What the last epoch of a recipe is worth on the test images."""
    started = time.perf_counter()
    run = train(settings, split, weights, SIZE, EPOCHS, split.seed)
    return scored(answers(run, split, SIZE), split, time.perf_counter() - started, run.compute.precision)


def print_tables(rows: Sequence[Mapping[str, Any]]) -> None:
    """Every recipe in every regime, which five are chosen, and what is chosen without a regime is worth there."""
    regimes = list(dict.fromkeys(row["regime"] for row in rows))
    table = {recipe: [_mean(rows, regime, recipe) for regime in regimes] for recipe in RECIPES}
    losses = np.array(list(table.values()))
    regrets = np.log(losses) - np.log(losses.min(axis=0))
    order, names = greedy(regrets, NUM_CHOSEN), list(table)
    counts = {row["regime"]: row["learned"] for row in rows}
    print("| recipe | place | " + " | ".join(f"{name}, {counts[name]} images" for name in regimes) + " |")
    print("|---|" + "---|" * (len(regimes) + 1))
    for number, name in enumerate(names):
        place = str(order.index(number) + 1) if number in order else ""
        print(f"| {name} | {place} | " + " | ".join(f"{loss:.4f}" for loss in losses[number]) + " |")
    print("\n| shown on | first chosen without it | its loss / the best there | first two | first three |")
    print("|---|---|---|---|---|")
    for column, regime in enumerate(regimes):
        chosen = greedy(np.delete(regrets, column, axis=1), 3)
        ratios = [np.exp(regrets[chosen[:count], column].min()) for count in (1, 2, 3)]
        print(f"| {regime} | {names[chosen[0]]} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    splits = len({row["split"] for row in rows})
    print_held_equal(f"{SIZE} px, {splits} splits", f"{MODEL}, {EPOCHS} epochs, probe_then_full at 1e-3")


def greedy(regrets: "np.ndarray[Any, Any]", count: int) -> list[int]:
    """The rows of `regrets` [recipes, regimes] that, one after the other, lower the mean of the best so far most."""
    chosen: list[int] = []
    best = np.full(regrets.shape[1], np.inf)
    for _ in range(min(count, len(regrets))):
        left = [row for row in range(len(regrets)) if row not in chosen]
        chosen.append(min(left, key=lambda row: float(np.minimum(best, regrets[row]).mean())))
        best = np.minimum(best, regrets[chosen[-1]])
    return chosen


def _mean(rows: Sequence[Mapping[str, Any]], regime: str, recipe: str) -> float:
    own = [row["calibrated"] for row in rows if (row["regime"], row["recipe"]) == (regime, recipe)]
    return float(np.mean(own))


if __name__ == "__main__":
    main()
