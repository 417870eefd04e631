"""Seconds that the study's nine configurations take: tuner, a plain Ray Tune script, the study's sequential loop.

    python -m benchmarks.speed.grid

All nine train GoogLeNet for equal epochs on the same images, from the same file of weights, and nobody is stopped
early. The clock starts before Ray does and before any image is read; caches are empty.
"""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.common import (
    SPLIT,
    chosen_images,
    in_turns,
    parse,
    print_held_equal,
    print_table,
    say,
    source,
)
from benchmarks.speed.base_weights import base_weights
from benchmarks.speed.children import children, measure_at_once
from benchmarks.speed.nine import BATCH_SIZE, NINE, SPACE, Grid
from tuner.runs.hardware import usable_cores
from tuner.tuning.config import SearchConfig, search_config

NUM_IMAGES, SIZE, EPOCHS = 120, 224, 4


def tuner_config(grid: Grid, folder: Path, space: str) -> SearchConfig:
    """A search on the images and with the settings of `grid`."""
    return search_config(
        space=space,
        data=grid.images.folder,
        groups=grid.images.groups,
        split=SPLIT,
        max_epochs=grid.epochs,
        batch_size=BATCH_SIZE,
        image_size=grid.size,
        weights=grid.weights,
        seed=grid.seed,
        runs_dir=folder,
        name="run",
    )


def tuner_grid(grid: Grid) -> Callable[[], float]:
    """By `tuner run --space googlenet_grid`."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TUNER_CACHE_DIR"] = f"{folder}/cache"
            started = time.perf_counter()
            from tuner.tuning.loop import search

            result = search(replace(tuner_config(grid, Path(folder), SPACE), samples=NINE))
            seconds = time.perf_counter() - started
            table = result.run.trials()
            _tell("tuner", table["val_loss"].tolist())
        return seconds

    return measure


def ray_grid(grid: Grid) -> Callable[[], float]:
    """By a plain script for Ray Tune."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            from benchmarks.speed.plain_ray import run_grid
            from benchmarks.speed.trials import started_ray

            with started_ray():
                found = run_grid(grid.configs, grid.images, grid.size, grid.weights, folder)
                seconds = time.perf_counter() - started
            if found.errors:
                raise RuntimeError(f"plain Ray Tune: {found.errors[0]}")
            _tell("plain Ray Tune", [min(r.metrics_dataframe["loss"]) for r in found])
        return seconds

    return measure


def loop_grid(grid: Grid) -> Callable[[], float]:
    """By the study's notebook, one configuration after the other on all cores."""

    def measure() -> float:
        import torch

        from benchmarks.speed import plain

        torch.set_num_threads(usable_cores())
        started = time.perf_counter()
        best = []
        for config in grid.configs:
            epochs = plain.fit(grid.images, config, grid.size, workers=usable_cores(), weights=grid.weights)
            best.append(min(loss for loss, _ in epochs))
        seconds = time.perf_counter() - started
        _tell("study's loop", best)
        return seconds

    return measure


def _tell(name: str, losses: list[float]) -> None:
    if len(losses) != NINE:
        raise RuntimeError(f"{name}: {len(losses)} configurations ended, not {NINE}")
    say(f"  {name}: validation losses " + " ".join(f"{loss:.3f}" for loss in losses))


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, size=SIZE, images=NUM_IMAGES)
    num_images, size, epochs = (40, 32, 2) if options.quick else (options.images, options.size, EPOCHS)
    makers = {"tuner": tuner_grid, "plain Ray Tune": ray_grid, "study's loop": loop_grid}
    with chosen_images(num_images) as images, ExitStack() as stack:
        weights = base_weights(images, size, options.quick)
        grid = Grid(images, weights, size, epochs)
        contenders = {}
        for name, make in makers.items():
            group = stack.enter_context(children(make, [grid]))
            contenders[name] = partial(lambda group: measure_at_once(group)[0], group)
        found = in_turns(contenders, options.repeats)
        title = f"the study's nine, {size} px, {epochs} epochs, {images.count('train')} training images"
    print_table(title, "seconds", found, ("tuner",))
    print_held_equal(
        f"{source()[2]}, the same for all",
        "weights to start from",
        f"batch {BATCH_SIZE}",
        "epochs",
        "2 cores",
    )


if __name__ == "__main__":
    main()
