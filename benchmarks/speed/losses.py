"""Validation losses after full fine-tuning, tuner's beside the study's loop's, over several seeds.

    python -m benchmarks.speed.losses

Whether what makes tuner fast makes it learn worse. A seed settles the split, the heads, the order and the augmentation;
both validate on the same images. GoogLeNet from one file of weights, all of it trained, at a learning rate at which so
few steps end in comparable losses: at 1e-3 those of one contender were seen to differ threefold between seeds.
"""

import numpy as np
from scipy import stats

from benchmarks.common import Images, chosen_images, parse, print_held_equal, say, source
from benchmarks.speed import plain
from benchmarks.speed.base_weights import base_weights
from benchmarks.speed.contenders import training_run, use_threads
from trainables.config import TrialConfig
from tuner.runs.hardware import usable_cores

NUM_IMAGES, EPOCHS = 240, 4
SEEDS = {224: 8, 96: 12}
"""By image size."""

BATCH_SIZE = 16
LEARNING_RATE = 1e-4


def by_tuner(images: Images, config: TrialConfig, size: int, weights: str) -> float:
    """The last epoch's validation loss in nats per image, as tuner's worker trains."""
    run = training_run(images, config, size, weights=weights, run_seed=config.seed)
    return list(run.epochs())[-1].val_loss


def by_loop(images: Images, config: TrialConfig, size: int, weights: str) -> float:
    """The same by the study's loop."""
    return list(plain.fit(images, config, size, workers=usable_cores(), weights=weights))[-1][0]


CONTENDERS = {"tuner": by_tuner, "study's loop": by_loop}


def losses(num_images: int, config: TrialConfig, size: int, weights: str) -> list[float]:
    """Every contender's loss under the seed of `config`."""
    with chosen_images(num_images, seed=config.seed) as images:
        found = [lose(images, config, size, weights) for lose in CONTENDERS.values()]
    say(f"  seed {config.seed}: " + " ".join(f"{loss:.3f}" for loss in found))
    return found


def print_losses(title: str, found: np.ndarray) -> None:
    """Mean and standard deviation over the seeds, [seeds, contenders], and of the difference in pairs."""
    print(f"\n{title}")
    print(f"{'':<12}  {'mean':>8}  {'sd':>8}")
    for name, column in zip(CONTENDERS, found.T, strict=True):
        print(f"{name:<12}  {column.mean():>8.3f}  {column.std(ddof=1):>8.3f}")
    gap = found[:, 0] - found[:, 1]
    low, high = stats.t.interval(0.95, len(gap) - 1, loc=gap.mean(), scale=stats.sem(gap))
    said = f"95% interval {low:.3f} to {high:.3f}"
    print(f"{'difference':<12}  {gap.mean():>8.3f}  {gap.std(ddof=1):>8.3f}  {said}", flush=True)


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, sizes=tuple(SEEDS))
    chosen = {size: SEEDS[size] for size in options.sizes}
    num_images, epochs, sizes = (40, 2, {32: 2}) if options.quick else (NUM_IMAGES, EPOCHS, chosen)
    settings = {
        "model": "googlenet",
        "strategy": "full",
        "learning_rate": LEARNING_RATE,
        "batch_size": BATCH_SIZE,
        "max_epochs": epochs,
        "patience": 0,
    }
    use_threads(usable_cores())
    for size, seeds in sizes.items():
        with chosen_images(num_images) as images:
            weights = base_weights(images, size, options.quick)
            configs = [TrialConfig.resolve({**settings, "seed": seed}) for seed in range(seeds)]
            found = np.array([losses(num_images, config, size, weights) for config in configs])
            counted = f"{images.count('train')} training and {images.count('val')} validation images"
        print_losses(f"validation loss after {epochs} epochs, {size} px, {seeds} seeds, {counted}", found)
    print_held_equal(
        f"{source()[2]}, under a seed the same for both",
        "weights to start from",
        f"learning rate {LEARNING_RATE}",
        f"batch {BATCH_SIZE}",
        "epochs",
    )


if __name__ == "__main__":
    main()
