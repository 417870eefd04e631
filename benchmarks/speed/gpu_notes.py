"""A trial that notes when it trains, so that what lies between two trials of a worker can be measured.

Every process appends to a file of its own in the run directory, a line an epoch: trial, epoch, and the moments
(time.time) at which Ray asked for the epoch, at which training began (the model is built by then) and ended.
"""

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from trainables.ray_trainable import TrialTrainable

FOLDER = "notes"


@dataclass(frozen=True)
class Note:
    """One epoch of one trial: its worker's process, and when it was asked for, began and ended, in seconds."""

    worker: int
    trial: str
    epoch: int
    asked: float
    began: float
    ended: float


class Noted(TrialTrainable):
    """tuner's own trial, which writes a `Note` of every epoch that it trains."""

    _began = 0.0

    def step(self) -> dict[str, Any]:
        """One epoch's metrics; called by Ray."""
        asked = time.time()
        result = super().step()
        if "epoch" in result and self._began >= asked:
            # When it was validated, not when its files were written: that is part of the gap.
            ended = float(result["time"])
            note = Note(os.getpid(), self.trial_name_here, result["epoch"], asked, self._began, ended)
            folder = Path(self.context.run_dir) / FOLDER
            folder.mkdir(exist_ok=True)
            with (folder / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(note)) + "\n")
        return result

    def _train_epoch(self) -> Any:
        self._began = time.time()
        return super()._train_epoch()


def read_notes(run: Path) -> list[Note]:
    """The notes of all processes of the run directory `run`, by when they began; a torn last line is passed over."""
    found = []
    for file in sorted((run / FOLDER).glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                found.append(Note(**json.loads(line)))
            except (ValueError, TypeError):
                continue
    return sorted(found, key=lambda note: note.began)


@dataclass(frozen=True)
class Gap:
    """Between two trials of one worker, in seconds: until Ray asks for the next, and until its model is built."""

    waiting: float
    building: float

    @property
    def seconds(self) -> float:
        """From the last epoch's end to the next trial's first step."""
        return self.waiting + self.building


def gaps(notes: Iterable[Note]) -> list[Gap]:
    """Every change of trials in every worker."""
    by_worker: dict[int, list[Note]] = {}
    for note in notes:
        by_worker.setdefault(note.worker, []).append(note)
    return [
        Gap(after.asked - before.ended, after.began - after.asked)
        for own in by_worker.values()
        for before, after in pairwise(own)
        if before.trial != after.trial
    ]


def first_epochs(notes: Sequence[Note]) -> list[float]:
    """By how many seconds each trial's first epoch is longer than the median of its others."""
    lengths: dict[str, list[float]] = {}
    for note in notes:
        lengths.setdefault(note.trial, []).append(note.ended - note.began)
    return [own[0] - sorted(own[1:])[len(own[1:]) // 2] for own in lengths.values() if len(own) > 1]
