"""Probabilities before and after the temperature, and sets that are to hold the truth nine times in ten.

    TUNER_POTATO_DATA=DIR python -m benchmarks.quality.calibration

EfficientNet-Lite0 from ImageNet weights, every layer trained, the rates falling towards the input. The temperature
and the sets' thresholds come from the validation images of a split, which the model has not seen, and are judged on its
test images. Every split's test images are its own; intervals are Student's over the splits.

With `--exported retrained` the model that is judged is one more, trained on the validation images too: `tuner retrain`
exports such a one, under the temperature and the thresholds of the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.common import parse, print_held_equal, say, source
from benchmarks.quality.fine_tuning import (
    Split,
    compute_config,
    counted,
    lite_weights,
    mean_and_interval,
    open_pool,
    splits,
)
from trainables.config import TrialConfig
from trainables.inference import compute_logits
from trainables.setting import ComputeConfig
from trainables.temperature import fit_temperature
from trainables.training import TrainingRun
from tuner.statistics.calibration import calibration_change, error_by_mass
from tuner.statistics.conformal import conformal_sets, conformity_scores, thresholds
from tuner.statistics.groups import group_codes
from tuner.statistics.intervals import FloatArray, calibration_error
from tuner.statistics.log_loss import log_losses
from tuner.statistics.scores import softmax

MODEL = "timm:tf_efficientnet_lite0"
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

EPOCHS, IMAGE_SIZE, SPLITS, TRAINING = 8, 96, 10, 300
ALPHA = 0.1
SETTINGS = {**SHARED, "strategy": "layerwise", "stage_decay": 0.5, "backbone_learning_rate": 3e-4}
SMOOTHING = ("0.1", "0")
EXPORTED = ("held_out", "retrained")


@dataclass(frozen=True)
class Answers:
    """Logits [n, classes], class numbers [n] and groups [n] of one part of a split."""

    logits: FloatArray
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.str_]


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, splits=SPLITS, exported=EXPORTED, smoothing=SMOOTHING)
    epochs, size, training = (2, 32, 40) if options.quick else (EPOCHS, IMAGE_SIZE, TRAINING)
    pool = open_pool(size)
    chosen = list(splits(pool, 3 if options.quick else options.splits, training))
    with lite_weights([MODEL], options.quick) as weights:
        compute = compute_config(weights[MODEL], size, "auto")
        for smoothing in options.smoothing:
            settings = {**SETTINGS, "max_epochs": epochs, "label_smoothing": float(smoothing)}
            found: dict[str, list[dict[str, float]]] = {which: [] for which in options.exported}
            for split in chosen:
                val, test = answers(settings, split, compute)
                for which in options.exported:
                    asked_of = test if which == "held_out" else retrained(settings, split, compute)
                    found[which].append(judged(val, asked_of))
                    say(f"  split {split.seed}, {which}: {found[which][-1]}")
            for which, rows in found.items():
                print(f"\n{counted(chosen[0])}, label smoothing {smoothing}, exported: {which}")
                print_temperature(rows)
                print_sets(rows, pool.classes)
    print_held_equal(
        f"{source()[2]}, {len(chosen)} splits by group, {size} px, {epochs} epochs",
        f"{MODEL.removeprefix('timm:')} in {compute.precision}, layerwise, batch 32, AdamW, cosine",
    )


def answers(settings: Mapping[str, object], split: Split, compute: ComputeConfig) -> tuple[Answers, Answers]:
    """Train on the split for all epochs; the model's answers to its validation and its test images."""
    run = trained(settings, split, compute)
    return asked(run, split, split.val), asked(run, split, split.test)


def retrained(settings: Mapping[str, object], split: Split, compute: ComputeConfig) -> Answers:
    """Train with the same seed on the validation images too; the answers to the test images."""
    both = np.sort(np.concatenate([split.train, split.val]))
    run = trained(settings, replace(split, train=both, val=split.val[:0]), compute)
    return asked(run, split, split.test)


def trained(settings: Mapping[str, object], split: Split, compute: ComputeConfig) -> TrainingRun:
    """The model after all epochs, whatever validation said."""
    config = TrialConfig.resolve({"patience": 0, **settings, "seed": split.seed})
    run = TrainingRun(config, split.data, compute)
    for _ in range(config.max_epochs):
        run.step()
    return run


def asked(run: TrainingRun, split: Split, places: npt.NDArray[np.int64]) -> Answers:
    """What the trained model answers for some images of the pool."""
    pool, compute = split.pool, run.compute
    logits = compute_logits(
        run.classifier, pool.cache, pool.rows[places], compute.image_size, "fp32", compute.device
    )
    return Answers(logits.double().numpy(), pool.labels[places], pool.groups[places])


def judged(val: Answers, test: Answers) -> dict[str, float]:
    """What the table shows of one split, by name."""
    temperature = fit_temperature(val.logits, val.labels, val.groups)
    correct = test.logits.argmax(axis=1) == test.labels
    found = {"temperature": temperature, "accuracy": float(correct.mean())}
    for when, scale in (("before", 1.0), ("after", temperature)):
        sure = softmax(test.logits / scale).max(axis=1)
        found[f"log loss {when}"] = float(log_losses(test.logits / scale, test.labels).mean())
        found[f"ECE {when}"] = error_by_mass(sure, correct)
        found[f"ECE of equal width {when}"] = calibration_error(sure, correct, 10)
    square = calibration_change(test.logits, test.labels, test.groups, temperature).square
    found["square before"], found["square after"] = square.before, square.after
    return found | sets(val, test, temperature)


def sets(val: Answers, test: Answers, temperature: float) -> dict[str, float]:
    """Coverage, groups alike and images alike, by class too, and the share of images with sets of each size."""
    scores = conformity_scores(softmax(val.logits / temperature), val.labels, val.groups)
    chosen = conformal_sets(softmax(test.logits / temperature), thresholds(scores, ALPHA))
    held = chosen[np.arange(len(test.labels)), test.labels]
    codes = group_codes(test.groups)
    by_group = np.bincount(codes, weights=held) / np.bincount(codes)
    kind = test.labels[np.unique(codes, return_index=True)[1]]
    classes = test.logits.shape[1]
    sizes = np.bincount(chosen.sum(axis=1), minlength=classes + 1) / len(chosen)
    return {
        "coverage": float(by_group.mean()),
        "coverage of images": float(held.mean()),
        **{f"coverage {code}": float(by_group[kind == code].mean()) for code in range(classes)},
        **{f"groups {code}": float(len(own)) for code, own in enumerate(scores)},
        **{f"size {number}": float(share) for number, share in enumerate(sizes)},
        "size": float(chosen.sum(axis=1).mean()),
    }


def print_temperature(found: Sequence[Mapping[str, float]]) -> None:
    """Loss and calibration error on test before and after."""
    heat = [one["temperature"] for one in found]
    print(f"temperatures {min(heat):.2f} to {max(heat):.2f}, test accuracy {_mean(found, 'accuracy')}")
    print("| on the test images | before | after | after minus before |\n|---|---|---|---|")
    for name in ("log loss", "ECE", "ECE of equal width", "square"):
        before, after = ([one[f"{name} {when}"] for one in found] for when in ("before", "after"))
        mean, low, high = mean_and_interval([b - a for a, b in zip(before, after, strict=True)])
        print(
            f"| {name} | {np.mean(before):.4f} | {np.mean(after):.4f} | {mean:+.4f} ({low:+.4f} to {high:+.4f}) |"
        )


def print_sets(found: Sequence[Mapping[str, float]], classes: Sequence[str]) -> None:
    """Coverage and sizes of the sets on test."""
    print(f"\n| sets at alpha {ALPHA:g} | coverage | calibration groups |\n|---|---|---|")
    print(
        f"| groups alike | {_mean(found, 'coverage')} | |\n| images alike | {_mean(found, 'coverage of images')} | |"
    )
    for code, name in enumerate(classes):
        groups = [one[f"groups {code}"] for one in found]
        print(f"| {name} | {_mean(found, f'coverage {code}')} | {min(groups):.0f} to {max(groups):.0f} |")
    shares = ", ".join(
        f"{number}: {100 * np.mean([one[f'size {number}'] for one in found]):.1f} %"
        for number in range(len(classes) + 1)
    )
    print(f"\nsets of size {shares}; mean {np.mean([one['size'] for one in found]):.2f}", flush=True)


def _mean(found: Sequence[Mapping[str, float]], name: str) -> str:
    mean, low, high = mean_and_interval([one[name] for one in found])
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
