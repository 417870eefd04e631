"""All advice on a run, the best first."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.errors import RunProblem
from tuner.advice.at_once import averaged_folds, ensemble
from tuner.advice.flips import flips
from tuner.advice.floor import floor
from tuner.advice.hours import more_hours
from tuner.advice.labels import better_labels
from tuner.advice.line import Found, Line, Unknown
from tuner.advice.material import Material, losses_of
from tuner.advice.more_images import more_images
from tuner.advice.pixels import backbones, fit, pixels
from tuner.console.reporter import Reporter
from tuner.runs.directory import Run

__all__ = ["KINDS", "Advice", "advise", "advise_run"]

KINDS: Sequence[tuple[str, Callable[[Material], list[Found]]]] = (
    ("images", more_images),
    ("labels", better_labels),
    ("pixels", pixels),
    ("fit", fit),
    ("backbones", backbones),
    ("hours", more_hours),
    ("ensemble", ensemble),
    ("folds", averaged_folds),
    ("flips", flips),
    ("floor", floor),
)
"""Every kind of advice, with what gives it."""


@dataclass(frozen=True)
class Advice:
    """What would help: `lines`, the largest expected gain in log loss first, and what nothing can be said of.

    `log_loss` and `accuracy` are those of the model as it is, `of` its name, on `images` of `groups` that it has not
    seen. `frozen` names the backbone whose frozen features say what more images gain, None where there are none.
    """

    run: Path
    lines: tuple[Line, ...]
    unknown: tuple[Unknown, ...]
    of: str | None
    log_loss: float | None
    accuracy: float | None
    images: int
    groups: int
    frozen: str | None
    seconds: float

    def document(self) -> dict[str, Any]:
        """In plain values, as `--json` prints it."""
        return {
            "run": str(self.run),
            "of": self.of,
            "log_loss": self.log_loss,
            "accuracy": self.accuracy,
            "images": self.images,
            "groups": self.groups,
            "frozen": self.frozen,
            "lines": [line.document() for line in self.lines],
            "unknown": [{"kind": one.kind, "reason": one.reason} for one in self.unknown],
            "seconds": self.seconds,
        }


def advise(path: Path, reporter: Reporter | None = None) -> Advice:
    """What would help the run in the directory `path`; raises RunProblem if there is none, or nothing in it."""
    return advise_run(Run.open(path), reporter)


def advise_run(run: Run, reporter: Reporter | None = None, *, quick: bool = False) -> Advice:
    """What would help, by the training and validation images of `run`; the test images are not read.

    If it is to be `quick`, what would take minutes on many images is named instead.
    """
    started = time.perf_counter()
    reporter = reporter or Reporter()
    found = Material(run, reporter, quick)
    if not found.trials and not found.heads:
        raise RunProblem(f"{run.path}: no trial has ended with a score yet, so there is nothing to advise on")
    every: list[Found] = []
    with reporter.progress("what would help is measured") as progress:
        for number, (kind, ask) in enumerate(KINDS, start=1):
            every += _asked(kind, ask, found)
            if progress:
                progress(number, len(KINDS))
    every = [_unless_a_loss(one) for one in every]
    lines = sorted((one for one in every if isinstance(one, Line)), key=_order)
    name, loss, accuracy, count, groups = _level(found)
    return Advice(
        run=run.path,
        lines=tuple(lines),
        unknown=tuple(one for one in every if isinstance(one, Unknown)),
        of=name,
        log_loss=loss,
        accuracy=accuracy,
        images=count,
        groups=groups,
        frozen=None if found.head is None else found.head.model,
        seconds=time.perf_counter() - started,
    )


def _asked(kind: str, ask: Callable[[Material], list[Found]], found: Material) -> list[Found]:
    """What `ask` says, or why it can't: images or weights that are gone are no reason to be silent about the rest."""
    try:
        return ask(found)
    except RunProblem as error:
        return [Unknown(kind, str(error))]


def _unless_a_loss(found: Found) -> Found:
    """The same; a line of which even the upper end is a loss is no advice."""
    if isinstance(found, Unknown) or found.log_loss is None or found.log_loss.high >= 0:
        return found
    by = f"{-found.log_loss.high:.3f} to {-found.log_loss.low:.3f}"
    return Unknown(found.kind, f"{found.do}: the log loss would rise by {by} nats", harmful=True)


def _order(line: Line) -> tuple[bool, float]:
    return (line.log_loss is None, 0.0 if line.log_loss is None else -line.log_loss.mean)


def _level(found: Material) -> tuple[str | None, float | None, float | None, int, int]:
    """Whose losses these are, its log loss and accuracy, and how many images and groups they are of."""
    if found.level is None:
        return None, None, None, 0, 0
    name, logits = found.level
    known = np.isfinite(logits).all(axis=1)
    groups = found.groups[known]
    losses, wrong = losses_of(logits[known], found.pool.numbers[known], groups)
    return (
        name,
        float(losses.mean()),
        float(1 - wrong.mean()),
        int(known.sum()),
        len(set(groups.tolist())),
    )
