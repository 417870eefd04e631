"""Is the probe a good adviser? Its first choice beside fine-tuning every candidate, in test log loss and in seconds.

    TUNER_POTATO_DATA=DIR python -m benchmarks.quality.probe_advice

Candidates are EfficientNet-Lite0, Lite1 and Lite2 from ImageNet weights, the only ones that packages carry. The probe
ranks them by validation log loss, and the first is fine-tuned; or the first two are (the space `auto` does no less), or
all, and validation chooses among them. Regret is the test loss of the chosen model above that of the best of all
fine-tuned ones by test.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from benchmarks.common import parse, print_held_equal, say, source
from benchmarks.quality.fine_tuning import (
    FALLING,
    Split,
    Tuned,
    compared,
    compute_config,
    counted,
    features,
    fine_tune,
    lite_weights,
    mean_and_interval,
    open_pool,
    say_tuned,
    splits,
)
from trainables.inference import placed, score_logits
from trainables.linear_probe import choose_l2, solve
from trainables.models import create
from trainables.setting import ComputeConfig
from tuner.statistics.groups import grouped_folds

MODELS = tuple(f"timm:tf_efficientnet_lite{size}" for size in range(3))
EPOCHS, IMAGE_SIZE, SPLITS = 10, 64, 5
SIZES = (200, 600)
SHARED = {
    **FALLING,
    "label_smoothing": 0.1,
    "dropout": 0.2,
}


@dataclass(frozen=True)
class Judged:
    """One split: every model's probe loss on validation and its seconds, and what fine-tuning made of it."""

    probe_losses: tuple[float, ...]
    probe_seconds: float
    tuned: tuple[Tuned, ...]

    @property
    def by_probe(self) -> int:
        """The model that the probe names first."""
        return int(np.argmin(self.probe_losses))

    @property
    def by_tuning(self) -> int:
        """The fine-tuned model with the lowest validation loss."""
        return int(np.argmin([one.val_loss for one in self.tuned]))

    @property
    def first_two(self) -> list[int]:
        """The two models that the probe names first."""
        return sorted(range(len(MODELS)), key=lambda place: self.probe_losses[place])[:2]

    @property
    def by_first_two(self) -> int:
        """Of these, the fine-tuned one with the lower validation loss."""
        return min(self.first_two, key=lambda place: self.tuned[place].val_loss)

    def seconds(self, places: Sequence[int]) -> float:
        """What the probe and the fine-tuning of `places` took."""
        return self.probe_seconds + sum(self.tuned[place].seconds for place in places)

    def regret(self, chosen: int) -> float:
        """Test loss of `chosen` above that of the best."""
        return self.tuned[chosen].test_loss - min(one.test_loss for one in self.tuned)


def probe(model: str, split: Split, compute: ComputeConfig) -> float:
    """Validation loss of the linear probe, as `tuner probe` finds it."""
    data, pool = split.data, split.pool
    classifier = create(model, len(pool.classes), weights=compute.weights, dropout=0.0, seed=0)
    classifier = placed(classifier, compute.device).eval()
    cache = features(model, split, compute)
    train, val = (cache.validation(classifier, rows) for rows in (data.train_rows, data.val_rows))
    labels = torch.from_numpy(data.train_labels)
    folds = grouped_folds(data.train_labels, pool.groups[split.train].tolist(), split.seed)
    l2, _ = choose_l2(train, labels, len(pool.classes), torch.from_numpy(folds))
    head = solve(train, labels, len(pool.classes), l2=l2)
    logits = torch.nn.functional.linear(val, *head)
    return score_logits(logits, torch.from_numpy(data.val_labels))["val_loss"]


def judge(split: Split, computes: Sequence[ComputeConfig], epochs: int) -> Judged:
    """Probe all, fine-tune all."""
    started = time.perf_counter()
    losses = tuple(probe(model, split, own) for model, own in zip(MODELS, computes, strict=True))
    seconds = time.perf_counter() - started
    say(f"  split {split.seed}, probe: {' '.join(f'{loss:.4f}' for loss in losses)}, {seconds:.1f} s")
    tuned = []
    for model, own in zip(MODELS, computes, strict=True):
        tuned.append(fine_tune({**SHARED, "model": model, "max_epochs": epochs}, split, own))
        say_tuned(split, model, tuned[-1])
    return Judged(losses, seconds, tuple(tuned))


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, splits=SPLITS, sizes=SIZES, pixels=IMAGE_SIZE)
    count, epochs, size, sizes = (
        (3, 2, 32, (40,)) if options.quick else (options.splits, EPOCHS, options.pixels, options.sizes)
    )
    pool = open_pool(size)
    with lite_weights(MODELS, options.quick) as weights:
        computes = [compute_config(weights[model], size, "auto") for model in MODELS]
        for num_train in sizes:
            chosen = list(splits(pool, count, num_train))
            print_table([judge(split, computes, epochs) for split in chosen], counted(chosen[0]))
    print_held_equal(
        f"{source()[2]}, {count} splits by group, {size} px, {epochs} epochs",
        f"{computes[0].precision}, batch 32, AdamW, cosine, rate 1e-3 halved each stage down,"
        " one thread or as OMP says",
    )


def print_table(found: Sequence[Judged], title: str) -> None:
    """Every model by probe and by fine-tuning, then the ways to choose."""
    print(
        f"\n{title}\n| model | probe, validation log loss | fine-tuned, test log loss"
        " | probe's first choice | best by test |"
    )
    print("|---|---|---|---|---|")
    bests = [int(np.argmin([one.test_loss for one in split.tuned])) for split in found]
    for place, model in enumerate(MODELS):
        probed = np.mean([split.probe_losses[place] for split in found])
        tested = np.mean([split.tuned[place].test_loss for split in found])
        named = sum(split.by_probe == place for split in found)
        print(
            f"| {model} | {probed:.3f} | {tested:.3f} | {named} of {len(found)}"
            f" | {bests.count(place)} of {len(found)} |"
        )
    ranks = [
        stats.spearmanr(split.probe_losses, [one.test_loss for one in split.tuned]).statistic
        for split in found
    ]
    print(f"\nrank correlation of probe and test loss within a split: {np.mean(ranks):.2f} on average")
    print("\n| way to choose | regret in test log loss | seconds | what is fine-tuned |\n|---|---|---|---|")
    ways = {
        "the probe's first": (
            [split.regret(split.by_probe) for split in found],
            [split.seconds([split.by_probe]) for split in found],
            "one",
        ),
        "the probe's first two, by validation": (
            [split.regret(split.by_first_two) for split in found],
            [split.seconds(split.first_two) for split in found],
            "two",
        ),
        "every candidate, by validation": (
            [split.regret(split.by_tuning) for split in found],
            [sum(one.seconds for one in split.tuned) for split in found],
            "all",
        ),
        "one at random": (
            [float(np.mean([split.regret(k) for k in range(len(MODELS))])) for split in found],
            [float(np.mean([one.seconds for one in split.tuned])) for split in found],
            "one",
        ),
    }
    for name, (regrets, seconds, what) in ways.items():
        mean, low, high = mean_and_interval(regrets)
        print(f"| {name} | {mean:.3f} ({low:.3f} to {high:.3f}) | {np.mean(seconds):.0f} | {what} |")
    every = ways["every candidate, by validation"][0]
    for name in ("the probe's first", "the probe's first two, by validation"):
        gaps = [ours - theirs for ours, theirs in zip(ways[name][0], every, strict=True)]
        print(f"\n{name} minus every candidate, by validation: {compared(gaps)}", flush=True)


if __name__ == "__main__":
    main()
