"""Seconds until the validation loss that the grid's best reaches: tuner's search, plain Ray ASHA + Optuna, the grid.

    python benchmarks/to_target.py

In each repeat the study's loop trains its nine configurations; their lowest validation loss is the target. The two
searches sample the same space (googlenet_full; strategies full, feature_extractor and gradual_unfreeze), with a seed
of the repeat's own, until an epoch reaches the target. tuner's own grid, faster than the loop's, is shown as well.
Clocks start before Ray does and before any image is read; caches are empty.
"""

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from base_weights import write_base_weights
from children import children, measure_at_once
from common import chosen_images, parse, print_held_equal, print_table, say, source
from grid import BATCH_SIZE, Grid, tuner_config

import search_spaces
from tuner.hardware import usable_cores

NUM_IMAGES, SIZE, EPOCHS = 160, 96, 4
SPACE, STRATEGIES = "googlenet_full", ("full", "feature_extractor", "gradual_unfreeze")
SAMPLES = 60
NEVER = float("inf")


@dataclass(frozen=True)
class Hunt:
    """The nine's common ground, the loss to reach, the space, the repeat's seed, the most trials."""

    grid: Grid
    target: float = 0.0
    space: str = SPACE
    seed: int = 0
    samples: int = SAMPLES


class Reached:
    """Notes when an epoch first reaches the target, and ends the search then; an observer."""

    def __init__(self, target: float) -> None:
        self.target, self.began, self.seconds = target, time.perf_counter(), NEVER

    def started(self, trial: Any) -> None:
        """Nothing to note; called by the ledger."""

    def epoch(self, trial: Any, event: Any) -> None:
        """Compare, and interrupt the search as a person would; called by the ledger."""
        if event.values["val_loss"] <= self.target and self.seconds == NEVER:
            self.seconds = time.perf_counter() - self.began
            os.kill(os.getpid(), signal.SIGINT)

    def ended(self, trial: Any, event: Any) -> None:
        """Nothing to note; called by the ledger."""


def by_tuner(hunt: Hunt) -> Callable[[], float]:
    """Seconds until tuner's search, or its grid, reaches the target."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TUNER_CACHE_DIR"] = f"{folder}/cache"
            reached = Reached(hunt.target)
            from tuner.search import search

            config = tuner_config(hunt.grid, Path(folder), hunt.space)
            if hunt.space == SPACE:
                config = replace(
                    config, samples=hunt.samples, strategies=STRATEGIES, grace_period=1, seed=hunt.seed
                )
            search(config, observers=(reached,))
        return reached.seconds

    return measure


def by_ray(hunt: Hunt) -> Callable[[], float]:
    """Seconds until a plain script with Ray's ASHA and OptunaSearch reaches the target."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as folder:
            began = time.time()
            from plain_ray import define, run_search
            from trials import started_ray

            sample = partial(
                define,
                space=search_spaces.load(SPACE),
                overrides=hunt.grid.overrides,
                allowed={"strategy": STRATEGIES},
            )
            with started_ray():
                return run_search(hunt.grid, sample, hunt.samples, folder, hunt.target, hunt.seed, began)

    return measure


def by_loop(grid: Grid) -> Callable[[], tuple[float, float]]:
    """Seconds until the study's loop, one configuration after the other, has its lowest loss, and that loss."""

    def measure() -> tuple[float, float]:
        import plain
        import torch

        torch.set_num_threads(usable_cores())
        started, found = time.perf_counter(), []
        for config in grid.configs:
            epochs = plain.fit(grid.images, config, grid.size, workers=usable_cores(), weights=grid.weights)
            found += [(loss, time.perf_counter() - started) for loss, _ in epochs]
        loss, seconds = min(found)
        say(f"  the loop's nine took {time.perf_counter() - started:.0f} s")
        return seconds, loss

    return measure


def once(grid: Grid, seed: int, samples: int) -> dict[str, float]:
    """Seconds of each contender in one repeat."""
    with children(by_loop, [grid]) as group:
        seconds, target = measure_at_once(group)[0]
    say(f"  the grid, study's loop: {seconds:.4g}, validation loss {target:.4f}")
    found = {"the grid, study's loop": seconds}
    hunts = {
        "the grid, tuner": (by_tuner, Hunt(grid, target, "googlenet_grid", seed)),
        "search, tuner": (by_tuner, Hunt(grid, target, SPACE, seed, samples)),
        "search, plain Ray": (by_ray, Hunt(grid, target, SPACE, seed, samples)),
    }
    for name, (make, hunt) in hunts.items():
        with children(make, [hunt]) as group:
            found[name] = measure_at_once(group)[0]
        say(f"  {name}: {found[name]:.4g}")
    return found


def main() -> None:
    """Measure and print."""
    options = parse(__doc__)
    samples = 2 if options.quick else SAMPLES
    num_images, size, epochs = (40, 32, 2) if options.quick else (NUM_IMAGES, SIZE, EPOCHS)
    with chosen_images(num_images) as images:
        weights = write_base_weights(images.folder.parent / "base.pt", size, num_images, epochs)
        grid = Grid(images, weights, size, epochs)
        repeats = [once(grid, seed, samples) for seed in range(options.repeats)]
        title = f"to the grid's best validation loss, {size} px, {images.count('train')} training images"
    found = {name: statistics.median(one[name] for one in repeats) for name in repeats[0]}
    print_table(title, "seconds", found, ("the grid, study's loop", "search, plain Ray"))
    print_held_equal(
        f"{source()[2]}, the same for all",
        "weights to start from",
        "space and most epochs of a trial of both searches",
        "ASHA with grace period 1 and reduction factor 3",
        f"batch {BATCH_SIZE}",
    )


if __name__ == "__main__":
    main()
