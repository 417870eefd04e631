"""Seconds until the validation loss that the grid's best reaches: tuner's search, plain Ray ASHA + Optuna, the grid.

    python -m benchmarks.speed.to_target

Each repeat has a seed of its own, for the split as for the training. In it the study's loop trains its nine
configurations; their lowest validation loss is the target, which is known to be the grid's best once all nine have been
trained. The two searches sample the same space (googlenet_full; strategies full, feature_extractor and
study_unfreeze), the study's configurations first, until an epoch reaches the target, or until they have taken as
long as the grid. tuner's own grid, faster than the loop's, is shown as well, and when the loop's grid first met its
target. Clocks start before Ray does and before any image is read; caches are empty.
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

import search_spaces
from benchmarks.common import chosen_images, parse, print_held_equal, print_table, say, source
from benchmarks.speed.base_weights import base_weights
from benchmarks.speed.children import children, measure_at_once
from benchmarks.speed.grid import EPOCHS, SIZE, tuner_config
from benchmarks.speed.nine import BATCH_SIZE, NINE, Grid, Hunt
from tuner.runs.hardware import usable_cores

SPACE, STRATEGIES = "googlenet_full", ("full", "feature_extractor", "study_unfreeze")
NUM_IMAGES, SAMPLES = 240, 60
NEVER = float("inf")
GRID, RAY = "the grid, study's loop", "search, plain Ray"


class Reached:
    """Notes when an epoch first reaches the target, and ends the search then; an observer."""

    def __init__(self, target: float) -> None:
        self.target, self.began, self.seconds = target, time.perf_counter(), NEVER

    def started(self, trial: Any) -> None:
        """Nothing to note; called by the store."""

    def epoch(self, trial: Any, event: Any) -> None:
        """Compare, and interrupt the search as a person would; called by the store."""
        if event.values["val_loss"] <= self.target and self.seconds == NEVER:
            self.seconds = time.perf_counter() - self.began
            os.kill(os.getpid(), signal.SIGINT)

    def ended(self, trial: Any, event: Any) -> None:
        """Nothing to note; called by the store."""


def by_tuner(hunt: Hunt) -> Callable[[], float]:
    """Seconds until tuner's search, or its grid, reaches the target."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TUNER_CACHE_DIR"] = f"{folder}/cache"
            reached = Reached(hunt.target)
            from tuner.tuning.loop import search

            config = replace(tuner_config(hunt.grid, Path(folder), hunt.space), time_budget_s=hunt.seconds)
            if hunt.space == SPACE:
                config = replace(config, samples=hunt.samples, strategies=STRATEGIES, grace_period=1)
            search(config, observers=(reached,))
        return reached.seconds

    return measure


def by_ray(hunt: Hunt) -> Callable[[], float]:
    """Seconds until a plain script with Ray's ASHA and OptunaSearch reaches the target."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as folder:
            began = time.time()
            from benchmarks.speed.plain_ray import define, run_search
            from benchmarks.speed.trials import started_ray

            space = search_spaces.load(SPACE)
            allowed: dict[str, tuple[str, ...]] = {"strategy": STRATEGIES}
            sample = partial(define, space=space, overrides=hunt.grid.overrides, allowed=allowed)
            first = [dict(one) for one in search_spaces.first_trials(space, hunt.grid.epochs, allowed)]
            with started_ray():
                return run_search(hunt, sample, first, folder, began)

    return measure


@dataclass(frozen=True)
class LoopGrid:
    """Seconds that the study's loop took for all nine, and until the lowest loss of them; that loss."""

    seconds: float
    seconds_to_best: float
    best: float


def by_loop(grid: Grid) -> Callable[[], LoopGrid]:
    """The study's loop, one configuration after the other."""

    def measure() -> LoopGrid:
        import torch

        from benchmarks.speed import plain

        torch.set_num_threads(usable_cores())
        started, found = time.perf_counter(), []
        for config in grid.configs:
            epochs = plain.fit(grid.images, config, grid.size, workers=usable_cores(), weights=grid.weights)
            found += [(loss, time.perf_counter() - started) for loss, _ in epochs]
        best, seconds = min(found)
        return LoopGrid(time.perf_counter() - started, seconds, best)

    return measure


def once(grid: Grid, samples: int) -> dict[str, float]:
    """Seconds of each contender in one repeat."""
    with children(by_loop, [grid]) as group:
        loop: LoopGrid = measure_at_once(group)[0]
    say(f"  the grid, study's loop: {loop}")
    found = {GRID: loop.seconds, "the same, until its best": loop.seconds_to_best}
    hunts = {
        "the grid, tuner": (by_tuner, Hunt(grid, loop.best, "googlenet_grid", NINE, loop.seconds)),
        "search, tuner": (by_tuner, Hunt(grid, loop.best, SPACE, samples, loop.seconds)),
        RAY: (by_ray, Hunt(grid, loop.best, SPACE, samples, loop.seconds)),
    }
    for name, (make, hunt) in hunts.items():
        with children(make, [hunt]) as group:
            found[name] = measure_at_once(group)[0]
        say(f"  {name}: {found[name]:.4g}")
    return found


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, size=SIZE, images=NUM_IMAGES)
    samples = 2 if options.quick else SAMPLES
    num_images, size, epochs = (40, 32, 2) if options.quick else (options.images, options.size, EPOCHS)
    with chosen_images(num_images) as images:
        weights = base_weights(images, size, options.quick)
        repeats = []
        for seed in range(options.repeats):
            with chosen_images(num_images, seed=seed) as split:
                repeats.append(once(Grid(split, weights, size, epochs, seed), samples))
        title = f"to the grid's best validation loss, {size} px, {images.count('train')} training images"
    found = {name: statistics.median(one[name] for one in repeats) for name in repeats[0]}
    print_table(title, "seconds", found, (GRID, RAY))
    print_held_equal(
        f"{source()[2]}, of a repeat the same for all",
        "weights to start from",
        "space, first trials and most epochs of a trial of both searches",
        "ASHA with grace period 1 and reduction factor 3",
        f"batch {BATCH_SIZE}",
    )


if __name__ == "__main__":
    main()
