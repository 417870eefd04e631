"""Memory that each further trial at once adds: tuner's trials, which share the cached images, and the study's loop.

    python -m benchmarks.speed.memory

One to three trials train at once, each in a process of its own; counted is the unique set size (what would be
free if the process ended) of a trial's process and of the processes that load images for it, at its highest.
"""

import threading
from collections.abc import Callable, Sequence

import psutil

from benchmarks.common import (
    BATCH_SIZE,
    Images,
    chosen_images,
    parse,
    print_held_equal,
    print_table,
    say,
    source,
)
from benchmarks.speed.children import Child, children, measure_at_once
from benchmarks.speed.contenders import Job, loop_epoch, tuner_epoch

NUM_IMAGES, SIZE = 300, 96
SECONDS_BETWEEN_LOOKS = 0.2


def peak_megabytes(group: Sequence[Child]) -> list[float]:
    """The highest unique set size of each child and what it started, while all train an epoch, in MB."""
    peaks = [0.0] * len(group)
    over = threading.Event()

    def look() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            for place, child in enumerate(group):
                peaks[place] = max(peaks[place], unique_megabytes(child.process.pid or 0))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        measure_at_once(group)
    finally:
        over.set()
        watcher.join()
    return peaks


def unique_megabytes(pid: int) -> float:
    """Unique set size of a process and of all below it, in MB."""
    total = 0
    process = psutil.Process(pid)
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().uss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


def added(
    images: Images, make: Callable[[Job], Callable[[], float]], model: str, size: int, most: int
) -> float:
    """Megabytes that a further trial adds: total unique memory at `most` trials less that of one, a trial."""
    job = Job(images, model, "full", size, 1)
    with children(make, [job] * most) as group:
        alone = sum(peak_megabytes(group[:1]))
        together = sum(peak_megabytes(group))
    say(f"  alone {alone:.0f} MB, {most} at once {together:.0f} MB")
    return (together - alone) / (most - 1)


def main() -> None:
    """Measure and print."""
    options = parse(__doc__)
    num_images, size, most = (40, 32, 2) if options.quick else (NUM_IMAGES, SIZE, 3)
    with chosen_images(num_images) as images:
        contenders = {"tuner": tuner_epoch, "study's loop": loop_epoch}
        found = {name: added(images, make, "resnet18", size, most) for name, make in contenders.items()}
        title = f"what a further trial adds, ResNet18, {size} px, {images.count('train')} training images"
    print_table(title, "MB", found, ("tuner",))
    pixels = 3 * round(size * 8 / 7) ** 2 / 1e6
    print(f"the cached images, {pixels:.3f} MB each, are mapped by all of tuner's trials and counted in none")
    print_held_equal(f"{source()[2]}, the same for all", f"batch {BATCH_SIZE}", "one thread a trial", "Adam")


if __name__ == "__main__":
    main()
