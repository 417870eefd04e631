"""The probe's head and everything from the start, beside full fine-tuning and gradual unfreezing at equal epochs.

    TUNER_POTATO_DATA=DIR python -m benchmarks.quality.strategies

EfficientNet-Lite0 from ImageNet weights, few and many training images. Every split's test
images are its own; the best epoch is chosen on validation. Differences are paired by split, in test log loss.
"""

from typing import Any

from benchmarks.common import parse, print_held_equal, source
from benchmarks.quality.fine_tuning import (
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

MODEL = "timm:tf_efficientnet_lite0"
EPOCHS, IMAGE_SIZE, SPLITS = 10, 64, 5
SIZES = (100, 600)
SHARED = {
    "model": MODEL,
    "optimizer": "adamw",
    "schedule": "cosine",
    "learning_rate": 1e-3,
    "backbone_learning_rate": 3e-4,
    "weight_decay": 1e-2,
    "label_smoothing": 0.1,
    "dropout": 0.2,
    "batch_size": 32,
}
PROBED = {"strategy": "probe_then_full", "probe_l2": 0.01}
CONTENDERS: dict[str, dict[str, Any]] = {
    "probe_then_full": PROBED,
    "probe_then_full at 1e-4": {**PROBED, "backbone_learning_rate": 1e-4},
    "full": {"strategy": "full"},
    "gradual_unfreeze": {"strategy": "gradual_unfreeze", "unfreeze_at": 2},
    "layerwise": {"strategy": "layerwise", "stage_decay": 0.5},
    "probe_then_full unsmoothed": {**PROBED, "probe_l2": 0.1, "label_smoothing": 0.0},
    "full unsmoothed": {"strategy": "full", "label_smoothing": 0.0},
}


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, splits=SPLITS, sizes=SIZES, contenders=tuple(CONTENDERS))
    epochs, size, sizes = (2, 32, (40,)) if options.quick else (EPOCHS, IMAGE_SIZE, options.sizes)
    count = 3 if options.quick else options.splits
    pool = open_pool(size)
    with lite_weights([MODEL], options.quick) as weights:
        compute = compute_config(weights[MODEL], size, "auto")
        for num_train in sizes:
            found: dict[str, list[Tuned]] = {name: [] for name in options.contenders}
            chosen = list(splits(pool, count, num_train))
            for split in chosen:
                for name in found:
                    settings = {**SHARED, "max_epochs": epochs, **CONTENDERS[name]}
                    found[name].append(fine_tune(settings, split, compute))
                    say_tuned(split, name, found[name][-1])
            print_table(found, counted(chosen[0]))
    print_held_equal(
        f"{source()[2]}, {count} splits by group, {size} px, {epochs} epochs",
        f"{MODEL.removeprefix('timm:')} in {compute.precision}, batch 32, AdamW, cosine, head's rate 1e-3,"
        " backbone's 3e-4 unless said otherwise",
    )


def print_table(found: dict[str, list[Tuned]], title: str) -> None:
    """Mean test loss and accuracy of each, and the first's difference to each other one."""
    first = next(iter(found))
    print(f"\n{title}")
    print(
        f"| strategy | test log loss | test accuracy | seconds | {first} minus this |\n|---|---|---|---|---|"
    )
    for name, tuned in found.items():
        loss, accuracy, seconds = (
            mean_and_interval([getattr(one, field) for one in tuned])[0]
            for field in ("test_loss", "test_accuracy", "seconds")
        )
        gaps = [ours.test_loss - its.test_loss for ours, its in zip(found[first], tuned, strict=True)]
        said = "" if name == first else compared(gaps)
        print(f"| {name} | {loss:.3f} | {accuracy:.3f} | {seconds:.0f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
