"""Each augmentation policy, and mixing, beside the study's policy: paired by split, in test log loss.

    TUNER_POTATO_DATA=DIR python benchmarks/policies.py

EfficientNet-Lite0 from ImageNet weights, 200 training images, everything trained at rates that fall towards the input.
The best epoch is chosen on validation, every split's test images are its own. `mixup` and `cutmix` come on top of the
study's policy, as numbers that a trial has.
"""

from typing import Any

from common import parse, print_held_equal, source
from fine_tuning import (
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

MODEL = "timm:tf_efficientnet_lite0"
EPOCHS, IMAGE_SIZE, SPLITS, NUM_TRAIN, NUM_VAL = 12, 64, 12, 200, 100
FIRST = "study"
SHARED = {
    "model": MODEL,
    "strategy": "layerwise",
    "stage_decay": 0.5,
    "optimizer": "adamw",
    "schedule": "cosine",
    "learning_rate": 1e-3,
    "backbone_learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "label_smoothing": 0.1,
    "dropout": 0.2,
    "batch_size": 32,
}
MIXED: dict[str, dict[str, Any]] = {
    "study, mixup 0.2": {"augmentation": FIRST, "mixup": 0.2},
    "study, cutmix 1.0": {"augmentation": FIRST, "cutmix": 1.0},
}


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, splits=SPLITS)
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
    print_held_equal(
        f"{source()[2]}, {count} splits by group, {counted(chosen[0])}, {size} px, {epochs} epochs",
        f"{MODEL.removeprefix('timm:')} in {compute.precision}, batch 32, AdamW, cosine,"
        " rate 1e-3 halved each stage down",
    )


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
