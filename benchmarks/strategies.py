"""The probe's head and everything from the start, beside full fine-tuning and gradual unfreezing at equal epochs.

    TUNER_POTATO_DATA=DIR python benchmarks/strategies.py

EfficientNet-Lite0 from ImageNet weights, few and many training images, two rates of the backbone. Every split's test
images are its own; the best epoch is chosen on validation. Differences are paired by split, in test log loss.
"""

from functools import partial
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

MODEL = "timm:tf_efficientnet_lite0"
EPOCHS, IMAGE_SIZE, SPLITS = 10, 96, 5
SIZES = (100, 600)
RATES = (3e-4, 1e-4)
SHARED = {
    "model": MODEL,
    "optimizer": "adamw",
    "schedule": "cosine",
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "label_smoothing": 0.1,
    "dropout": 0.2,
    "batch_size": 32,
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "probe_then_full": {"probe_l2": 0.01},
    "full": {},
    "gradual_unfreeze": {"unfreeze_at": 2},
    "layerwise": {"stage_decay": 0.5},
}


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, splits=SPLITS)
    epochs, size, sizes = (2, 32, (40,)) if options.quick else (EPOCHS, IMAGE_SIZE, SIZES)
    count = 3 if options.quick else options.splits
    pool = open_pool(size)
    with lite_weights([MODEL], options.quick) as weights:
        compute = compute_config(weights[MODEL], size, "auto")
        for num_train in sizes:
            chosen = list(splits(pool, count, num_train))
            for rate in RATES:
                shared = {**SHARED, "max_epochs": epochs, "backbone_learning_rate": rate}
                found: dict[str, list[Tuned]] = {name: [] for name in STRATEGIES}
                for split in chosen:
                    tune = partial(fine_tune, split=split, compute=compute)
                    for name, own in STRATEGIES.items():
                        found[name].append(tune({**shared, "strategy": name, **own}))
                        say_tuned(split, f"{name} at {rate:g}", found[name][-1])
                print_table(found, f"{counted(chosen[0])}, backbone rate {rate:g}")
    print_held_equal(
        f"{source()[2]}, {count} splits by group, {size} px, {epochs} epochs",
        f"{MODEL.removeprefix('timm:')} in {compute.precision}, batch 32, AdamW, cosine, head rate 1e-3",
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
