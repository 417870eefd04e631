"""Seconds and memory of `inspect`, of a run up to its first epoch, and of `compare`, as images and classes grow.

    python -m benchmarks.speed.scale_images

Drawn JPEGs of 64 pixels. The plain pass opens, decodes and hashes every file with all cores, and does nothing else. The
run trains timm's smallest ResNet at 32 pixels for one epoch. Every command is a process of its own with an empty cache,
but for `compare`, which has the run's. Memory is the highest proportional set size of the command and of all that it
starts: pages that several share are counted once.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil

from benchmarks.common import parse, print_held_equal, say
from tuner.runs.directory import Run
from tuner.runs.hardware import usable_cores

COUNTS, CLASSES = (1_000, 10_000, 100_000), (10, 1_000)
LEAST = 5
"""Images of a class below which no search is begun."""

SIDE, DETAIL = 64, 8
"""Of the drawn pictures, in pixels, and of the coarse noise in them."""

SPACE = '''"""One trial."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True)
    return {"model": "timm:test_resnet.r160_in1k", "strategy": "full", "batch_size": 64}
'''
PROGRAM = (sys.executable, "-m", "tuner")
BETWEEN_LOOKS_S = 0.5
HEAD = "| images | classes | plain pass, s | inspect, s (/ plain) | MB | run, s | MB | compare, s | MB |"


@dataclass(frozen=True)
class Cost:
    """Seconds, and megabytes at most."""

    seconds: float
    megabytes: float


def draw(folder: Path, count: int, classes: int) -> None:
    """So many different pictures in so many class folders; the colour of the noise goes with the class."""
    random = np.random.default_rng(0)
    colours = random.uniform(40, 215, (classes, 3))
    for number in range(classes):
        (folder / f"class{number:04d}").mkdir(parents=True)
    for number in range(count):
        label = number % classes
        noise = random.normal(colours[label], 40, (DETAIL, DETAIL, 3)).clip(0, 255).astype(np.uint8)
        picture = cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"class{label:04d}" / f"{number:06d}.jpg"), picture)


def hashed(files: Sequence[Path]) -> int:
    """How many of the files are different pictures."""
    found = set()
    for file in files:
        picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        found.add(hashlib.blake2b(np.ascontiguousarray(picture), digest_size=16).digest())
    return len(found)


def plain_pass(folder: Path) -> float:
    """Seconds to open, decode and hash all files with all cores."""
    started = time.perf_counter()
    files = sorted(folder.rglob("*.jpg"))
    cores = usable_cores()
    with ProcessPoolExecutor(cores) as pool:
        seen = sum(pool.map(hashed, [files[part::cores] for part in range(cores)]))
    if seen != len(files):
        raise RuntimeError(f"{len(files)} pictures were drawn, {seen} are different")
    return time.perf_counter() - started


def tuner(cache: Path, *words: object, until: Callable[[], bool] | None = None) -> Cost:
    """The cost of a command, to its end, or only until something is so; then it still runs to its end."""
    environment = {**os.environ, "TUNER_CACHE_DIR": str(cache)}
    command = [*PROGRAM, *map(str, words)]
    started, peak, reached = time.perf_counter(), 0.0, None
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=said, stderr=said, env=environment) as process:
            while process.poll() is None:
                peak = max(peak, proportional_megabytes(process.pid))
                if until is not None and reached is None and until():
                    reached = time.perf_counter() - started
                time.sleep(BETWEEN_LOOKS_S)
        seconds = time.perf_counter() - started
        if process.returncode:
            said.seek(0)
            raise RuntimeError(said.read()[-2000:])
    return Cost(seconds if reached is None else reached, peak)


def proportional_megabytes(pid: int) -> float:
    """Proportional set size of a process and of all below it, in MB."""
    total = 0
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for one in family:
        try:
            info = one.memory_full_info()
            # macOS knows no proportional share.
            total += getattr(info, "pss", info.uss)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 1e6


@contextmanager
def drawn(count: int, classes: int) -> Iterator[Path]:
    """A folder with so many pictures in `images`; gone in the end."""
    folder = Path(tempfile.mkdtemp())
    try:
        draw(folder / "images", count, classes)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(count: int, classes: int) -> Mapping[str, Cost]:
    """What each command costs on so many images."""
    with drawn(count, classes) as folder:
        images = folder / "images"
        costs = {"plain": Cost(plain_pass(images), 0.0)}
        costs["inspect"] = tuner(folder / "cache1", "inspect", images, "--image-size", 32)
        run = Run(folder / "run")
        (folder / "one.py").write_text(SPACE, encoding="utf-8")
        words = ["--space", folder / "one.py", "--data", images, "--weights", "none", "--image-size", 32]
        words += ["--samples", 1, "--max-epochs", 1, "--folds", 0, "--runs-dir", folder, "--name", "run"]
        costs["run"] = tuner(
            folder / "cache2", "run", *words, "--no-dashboard", until=lambda: any(run.path.glob("epochs/*"))
        )
        costs["compare"] = tuner(folder / "cache2", "compare", run.path)
    say(f"  {count:,} images, {classes:,} classes: {costs}")
    return costs


def row(count: int, classes: int, costs: Mapping[str, Cost]) -> str:
    """A row of the table."""
    plain, inspect = costs["plain"].seconds, costs["inspect"]
    cells = [f"{count:,}", f"{classes:,}", f"{plain:.1f}"]
    cells += [f"{inspect.seconds:.1f} ({inspect.seconds / plain:.1f})", f"{inspect.megabytes:,.0f}"]
    for name in ("run", "compare"):
        cells += [f"{costs[name].seconds:.1f}", f"{costs[name].megabytes:,.0f}"]
    return f"| {' | '.join(cells)} |"


def growth(few: Mapping[str, Cost], many: Mapping[str, Cost]) -> str:
    """How many times those of `few` the seconds and the memory of `many` are, a row."""
    cells = ["growth", "", f"{many['plain'].seconds / few['plain'].seconds:.1f}"]
    for name in ("inspect", "run", "compare"):
        less, more = few[name], many[name]
        cells += [f"{more.seconds / less.seconds:.1f}", f"{more.megabytes / less.megabytes:.1f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, counts=COUNTS, classes=CLASSES)
    counts = (200, 400) if options.quick else tuple(sorted(options.counts))
    print(f"{HEAD}\n|{'---|' * 9}", flush=True)
    for classes in (10,) if options.quick else options.classes:
        found = []
        for count in counts:
            if count >= LEAST * classes:
                found.append(measure(count, classes))
                print(row(count, classes, found[-1]), flush=True)
        if len(found) > 1:
            print(growth(*found[-2:]), flush=True)
    print_held_equal(
        f"JPEGs of {SIDE} px, read at 32 px", "timm:test_resnet, one trial of one epoch, no folds"
    )


if __name__ == "__main__":
    main()
