"""The contenders of `anytime.py`: the command lines of each, from images to a model and from the model to answers."""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.quality.anytime_sets import LaidOut

Command = list[str]
BACKBONES = tuple(f"tf_efficientnet_lite{size}" for size in range(3))
LEARNING_RATES = ("3e-4", "1e-3")
KINDS = ("logistic", "recipe", "script", "tuner")
SIZES = ("given", "auto")


@dataclass(frozen=True)
class Task:
    """What a contender is asked: images, a folder of weights, seconds, and an empty folder to work in."""

    images: LaidOut
    weights: Path
    place: Path
    pixels: int
    budget: float
    seed: int

    @property
    def model(self) -> Path:
        """Where the model is to be."""
        return self.place / "model"

    @property
    def answers(self) -> Path:
        """Where the probabilities of the test images are to be."""
        return self.place / "answers.csv"

    def given(self) -> Command:
        """The options that all have in common."""
        groups = [] if self.images.groups is None else ["--groups", str(self.images.groups)]
        shared = ["--data", str(self.images.train), *groups, "--weights-dir", str(self.weights)]
        return [*shared, "--seed", str(self.seed)]


@dataclass(frozen=True)
class Contender:
    """`fit` are commands one after the other that end with a model; `budgeted` says that they heed the budget."""

    name: str
    budgeted: bool
    fit: Callable[[Task], Sequence[Command]]
    predict: Callable[[Task], Command]


def contenders(kinds: Sequence[str], sizes: Sequence[str], pixels: int) -> list[Contender]:
    """Those of the `kinds`; tuner once for each of the `sizes` that this version has."""
    found = []
    if "logistic" in kinds:
        found.append(Contender("logistic", False, lambda task: [_peer("logistic", task)], _peer_answers))
    for rate in LEARNING_RATES if "recipe" in kinds else ():
        found.append(Contender(f"recipe, {rate}", False, _recipe(rate), _peer_answers))
    if "script" in kinds:
        found.append(Contender("script", True, _script, _peer_answers))
    if "tuner" in kinds and "given" in sizes:
        size = ["--image-size", str(pixels)]
        found.append(Contender(f"tuner, {pixels} px", True, lambda task: _tuner(task, size), _tuner_answers))
    if "tuner" in kinds and "auto" in sizes and chooses_size(run_help()):
        auto = ["--image-size", "auto"]
        found.append(Contender("tuner, auto", True, lambda task: _tuner(task, auto), _tuner_answers))
    return found


def chooses_size(run_options: str) -> bool:
    """Whether `tuner run`, whose help is given, can choose the image size."""
    said = re.search(r"^ +--image-size .*?(?=^ +--|\Z)", run_options, re.MULTILINE | re.DOTALL)
    return said is not None and "auto" in said[0].lower()


def writes_model(run_options: str) -> bool:
    """Whether `tuner run`, whose help is given, ends with a model folder."""
    return re.search(r"^ +--out\b", run_options, re.MULTILINE) is not None


@cache
def run_help() -> str:
    """The help of this version's `tuner run`."""
    command = [sys.executable, "-m", "tuner", "run", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _peer(name: str, task: Task) -> Command:
    own = [*task.given(), "--image-size", str(task.pixels), "--out", str(task.model)]
    return [sys.executable, "-m", f"benchmarks.quality.peers.{name}", *own]


def _recipe(rate: str) -> Callable[[Task], Sequence[Command]]:
    return lambda task: [[*_peer("recipe", task), "--learning-rate", rate]]


def _script(task: Task) -> Sequence[Command]:
    return [[*_peer("script", task), "--time-budget", str(task.budget)]]


def _peer_answers(task: Task) -> Command:
    command = [sys.executable, "-m", "benchmarks.quality.peers.predict"]
    return [*command, str(task.model), str(task.images.test), str(task.answers)]


def _tuner(task: Task, size: Sequence[str]) -> Sequence[Command]:
    """`tuner run` up to the model folder; in a version that can't do that, export and one retraining follow."""
    tuner = [sys.executable, "-m", "tuner"]
    names = ",".join(f"timm:{name}" for name in BACKBONES)
    run = [*tuner, "run", *task.given(), *size, "--backbones", names, "--name", "search"]
    run += ["--time-budget", f"{task.budget:g}s"]
    if writes_model(run_help()):
        # Its peers train on all images, too.
        return [[*run, "--out", str(task.model), "--final"]]
    best = str(task.place / "best.yaml")
    return [
        run,
        [*tuner, "export", str(task.place / "runs" / "search"), "--out", best],
        [*tuner, "retrain", best, "--final", "--seeds", "1", "--out", str(task.model)],
    ]


def _tuner_answers(task: Task) -> Command:
    command = [sys.executable, "-m", "tuner", "predict", str(task.model), str(task.images.test)]
    return [*command, "--out", str(task.answers)]
