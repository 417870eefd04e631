"""Driver time per trial and driver memory at a tenth of a search with instant epochs, and at its end.

    python -m benchmarks.speed.scale --trials 10000 --repeats 1

All trials are simulated, up to four epochs each under ASHA, on all cores. Time per trial is that of the hundred trials
around a mark, by the clock and by the driver's own processor time. In the end `tuner resume` adds one trial that really
trains: its seconds, imports and Ray's start included, are those of a process of its own.
"""

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import parse, print_held_equal, say
from benchmarks.speed.simulated import Simulated, prepared_run
from benchmarks.speed.trials import started_ray
from tuner.tuning.loop import execute

NUM_TRIALS, WINDOW = 1000, 100


@dataclass(frozen=True)
class Reading:
    """Of the driver when a trial has ended: clock and processor time in seconds, resident memory in MB."""

    clock: float
    processor: float
    megabytes: float


class Watch:
    """Takes a reading at the end of every trial; an observer of the search."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []

    def started(self, trial: Any) -> None:
        """Nothing to note; called by the store."""

    def epoch(self, trial: Any, event: Any) -> None:
        """Nothing to note; called by the store."""

    def ended(self, trial: Any, event: Any) -> None:
        """Take a reading; called by the store."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        self.readings.append(Reading(time.perf_counter(), time.process_time(), megabytes))
        if len(self.readings) % 100 == 0:
            say(f"  {len(self.readings)} trials")


def search(num_trials: int) -> tuple[list[Reading], float]:
    """Readings at the end of each trial of one search, and the seconds of its resumption by one trial more."""
    watch = Watch()
    with prepared_run(num_trials, 4) as prepared:
        with started_ray():
            result = execute(prepared, trainable=Simulated, observers=(watch,))
        if len(result.run.trials()) != num_trials:
            raise RuntimeError(f"{len(result.run.trials())} trials ended, not {num_trials}")
        seconds = resumed(result.run.path)
    say(f"  resumed in {seconds:.1f} s")
    return watch.readings, seconds


def resumed(run: Path) -> float:
    """Seconds of `tuner resume` with one trial more; raises RuntimeError with its last words if it fails."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "tuner", "resume", str(run), "--samples", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-2000:])
    return time.perf_counter() - started


def around(readings: list[Reading], mark: int, window: int) -> tuple[float, float, float]:
    """Milliseconds a trial by the clock and by the processor, and megabytes, about trial number `mark`."""
    last = min(mark + window // 2, len(readings) - 1)
    first = last - window
    a, b = readings[first], readings[last]
    return (
        (b.clock - a.clock) / window * 1e3,
        (b.processor - a.processor) / window * 1e3,
        readings[mark - 1].megabytes,
    )


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, trials=NUM_TRIALS)
    marks, window = ((10, 30), 10) if options.quick else ((options.trials // 10, options.trials), WINDOW)
    searches, resumptions = zip(*(search(marks[-1]) for _ in range(options.repeats)), strict=True)
    rows = {
        mark: [
            statistics.median(column)
            for column in zip(*(around(s, mark, window) for s in searches), strict=True)
        ]
        for mark in marks
    }
    print(f"\na search of {marks[-1]} simulated trials")
    print(f"{'':>16}{'ms a trial':>14}{'driver ms':>14}{'driver MB':>14}")
    for mark, values in rows.items():
        print(f"{f'at trial {mark}':>16}" + "".join(f"{value:>14.1f}" for value in values))
    ratios = [late / early for early, late in zip(rows[marks[0]], rows[marks[1]], strict=True)]
    print(f"{'ratio':>16}" + "".join(f"{ratio:>14.2f}" for ratio in ratios))
    print(f"tuner resume, with one trial more: {statistics.median(resumptions):.1f} s")
    print_held_equal("one core a trial", "TPE, ASHA, journal, tables and weights as in every search")


if __name__ == "__main__":
    main()
