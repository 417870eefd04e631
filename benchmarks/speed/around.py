"""Seconds that commands take around their training: imports, Ray, reading of images, tables, figures, formats.

    TUNER_PEER=/path/to/another/bin/python python -m benchmarks.speed.around

The peer is another version of tuner, installed in an environment of its own. Both do the same: one trial of one epoch,
another one in `resume`, `compare`, `export`, `retrain --seeds 1`, `predict` of one photograph; and `release`, which
earlier versions don't have. Each command is a process of its own. The seconds that trials and seeds trained, by the
run's tables and the model's training.csv, are taken off. Every round has an empty cache.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks.common import Images, chosen_images, in_rounds, parse, print_held_equal, print_table

SPACE = '''"""One network."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-3, 2e-3)
    return {"model": "mobilenet_v2", "strategy": "full", "batch_size": 32}
'''
SIDE = 64
NUM_IMAGES = 240
HERE, PEER = "tuner", "earlier tuner"


@dataclass(frozen=True)
class Version:
    """A version of tuner: the Python in whose environment it is installed, and the folder in which it keeps caches."""

    python: str
    cache: Path

    def seconds(self, *words: object) -> float:
        """How long a command takes; raises RuntimeError with its last words if it fails."""
        started = time.perf_counter()
        done = self._run(*words)
        if done.returncode:
            raise RuntimeError(f"tuner {words[0]}: {(done.stdout + done.stderr)[-2000:]}")
        return time.perf_counter() - started

    def has(self, command: str, option: str = "") -> bool:
        """Whether there is a command, and in its help an option."""
        done = self._run(command, "--help")
        return done.returncode == 0 and option in done.stdout

    def _run(self, *words: object) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "TUNER_CACHE_DIR": str(self.cache)}
        # What lies there would take the place of the version that is installed.
        environment.pop("PYTHONPATH", None)
        command = [self.python, "-m", "tuner", *map(str, words)]
        return subprocess.run(
            command, env=environment, cwd=self.cache, capture_output=True, text=True, check=False
        )


def trained(run: Path) -> float:
    """Seconds that the trials of a run trained."""
    return float(pd.read_parquet(run / "trials.parquet")["seconds"].sum())


def around(version: Version, images: Images) -> dict[str, float]:
    """Seconds of each command without its training."""
    place = version.cache
    space, run, best, model = place / "one.py", place / "runs" / "one", place / "best.yaml", place / "model"
    space.write_text(SPACE, encoding="utf-8")
    options = ["--data", images.folder, "--groups", images.groups, "--weights", "none", "--image-size", SIDE]
    options += ["--samples", 1, "--max-epochs", 1, "--runs-dir", run.parent, "--name", run.name]
    options += ["--folds", 0] if version.has("run", "--folds") else []
    found = {"--help": version.seconds("--help")}
    found["run"] = version.seconds("run", "--space", space, *options) - trained(run)
    before = trained(run)
    found["resume"] = version.seconds("resume", run, "--samples", 2) - (trained(run) - before)
    found["compare"] = version.seconds("compare", run)
    found["export"] = version.seconds("export", run, "--out", best)
    seconds = version.seconds("retrain", best, "--seeds", 1, "--out", model)
    found["retrain"] = seconds - float(pd.read_csv(model / "training.csv")["seconds"].sum())
    if version.has("release"):
        found["release"] = version.seconds("release", run, "--out", place / "released")
    photograph = images.folder / images.rows[0][0]
    found["predict"] = version.seconds("predict", model, photograph)
    return found


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of every command."""
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


def measured(python: str, images: Images) -> dict[str, float]:
    """The same of the version of `python`, in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="around-") as place:
        return around(Version(python, Path(place)), images)


def main() -> None:
    """Measure and print a table a command."""
    options = parse(__doc__)
    peer = os.environ.get("TUNER_PEER")
    pythons = {HERE: sys.executable, **({PEER: peer} if peer else {})}
    with chosen_images(36 if options.quick else NUM_IMAGES) as images:
        versions = {name: partial(measured, python, images) for name, python in pythons.items()}
        found = {name: medians(ones) for name, ones in in_rounds(versions, options.repeats).items()}
        count = len(images.rows)
    for command in found[HERE]:
        values = {name: ones[command] for name, ones in found.items() if command in ones}
        print_table(f"{command}, without its training", "seconds", values, [HERE])
    print_held_equal(f"{count} images of {SIDE} px, MobileNetV2 of random weights, one epoch, one trial")


if __name__ == "__main__":
    main()
