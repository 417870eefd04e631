"""Each augmentation policy, and mixing, beside the study's policy: paired by split, in test log loss.

    TUNER_POTATO_DATA=DIR python -m benchmarks.quality.policies

EfficientNet-Lite0 from ImageNet weights, 200 training images, everything trained at rates that fall towards the input.
The best epoch is chosen on validation, every split's test images are its own. `mixup` and `cutmix` come on top of the
study's policy, as numbers that a trial has. At last the ensemble that validation chooses among a split's models, beside
the single one that it chooses.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common import parse, print_held_equal, source
from benchmarks.quality.fine_tuning import (
    FALLING,
    Split,
    Tuned,
    compared,
    compute_config,
    counted,
    fine_tune,
    lite_weights,
    mean_and_interval,
    open_pool,
    say_tuned,
    splits,
)
from trainables import augmentations
from trainables.metrics import METRICS, Answers
from tuner.evaluation.comparison.ensemble import ensemble_logits
from tuner.statistics.ensembles import select_members

MODEL = "timm:tf_efficientnet_lite0"
EPOCHS, IMAGE_SIZE, SPLITS, NUM_TRAIN, NUM_VAL = 12, 64, 12, 200, 100
FIRST = "study"
MEMBERS = 5
SHARED = {
    "model": MODEL,
    **FALLING,
    "label_smoothing": 0.1,
    "dropout": 0.2,
}
MIXED: dict[str, dict[str, Any]] = {
    "study, mixup 0.2": {"augmentation": FIRST, "mixup": 0.2},
    "study, cutmix 1.0": {"augmentation": FIRST, "cutmix": 1.0},
}


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, splits=SPLITS, members=MEMBERS)
    count, epochs, size, num_train = (
        (3, 2, 32, 40) if options.quick else (options.splits, EPOCHS, IMAGE_SIZE, NUM_TRAIN)
    )
    others = [name for name in augmentations.names() if name != FIRST]
    contenders = {name: {"augmentation": name} for name in (FIRST, *others)} | MIXED
    found: dict[str, list[Tuned]] = {name: [] for name in contenders}
    chosen = list(splits(open_pool(size), count, num_train, NUM_VAL))
    with lite_weights([MODEL], options.quick) as weights:
        compute = compute_config(weights[MODEL], size, "auto")
        for split in chosen:
            for name, own in contenders.items():
                found[name].append(fine_tune({**SHARED, "max_epochs": epochs, **own}, split, compute))
                say_tuned(split, name, found[name][-1])
    print_table(found)
    print_ensembles(found, chosen, options.members)
    print_held_equal(
        f"{source()[2]}, {count} splits by group, {counted(chosen[0])}, {size} px, {epochs} epochs",
        f"{MODEL.removeprefix('timm:')} in {compute.precision}, batch 32, AdamW, cosine,"
        " rate 1e-3 halved each stage down",
    )


def print_ensembles(found: dict[str, list[Tuned]], chosen: Sequence[Split], most: int) -> None:
    """The ensemble of at most `most` models of a split that validation chooses, beside its best single model."""
    metric = METRICS["val_loss"]
    rows: dict[str, list[float]] = {"single": [], "ensemble": [], "single right": [], "ensemble right": []}
    sizes = []
    for number, split in enumerate(chosen):
        of_split = {name: tuned[number] for name, tuned in found.items()}
        val, test = (split.pool.labels[places] for places in (split.val, split.test))
        counts = select_members({name: one.val_logits for name, one in of_split.items()}, val, metric, most)
        single = min(of_split.values(), key=lambda one: one.val_loss)
        together = ensemble_logits(counts, {name: one.test_logits for name, one in of_split.items()})
        answers = {"single": Answers(test, single.test_logits), "ensemble": Answers(test, together)}
        for name, own in answers.items():
            rows[name].append(metric.compute(own))
            rows[f"{name} right"].append(METRICS["val_accuracy"].compute(own))
        sizes.append(len(counts))
    print(f"\nchosen on validation among the {len(found)} models of each split, judged on its test images")
    print("| chosen | test log loss | test accuracy |\n|---|---|---|")
    for name in ("single", "ensemble"):
        print(f"| {name} | {np.mean(rows[name]):.3f} | {np.mean(rows[f'{name} right']):.3f} |")
    gaps, right = (np.subtract(rows[f"ensemble{of}"], rows[f"single{of}"]).tolist() for of in ("", " right"))
    print(f"\nensemble minus single, log loss: {compared(gaps)}; {np.mean(sizes):.1f} members on average")
    print(
        f"accuracy: {100 * np.mean(right):+.1f} points ({100 * mean_and_interval(right)[1]:+.1f} to", end=" "
    )
    print(f"{100 * mean_and_interval(right)[2]:+.1f})", flush=True)


def print_table(found: dict[str, list[Tuned]]) -> None:
    """Mean test loss and accuracy of each, and its difference to the study's policy."""
    print(f"\n| policy | test log loss | test accuracy | this minus {FIRST} |\n|---|---|---|---|")
    for name, tuned in found.items():
        loss = mean_and_interval([one.test_loss for one in tuned])[0]
        accuracy = mean_and_interval([one.test_accuracy for one in tuned])[0]
        gaps = [its.test_loss - base.test_loss for its, base in zip(tuned, found[FIRST], strict=True)]
        said = "" if name == FIRST else compared(gaps)
        print(f"| {name} | {loss:.3f} | {accuracy:.3f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
