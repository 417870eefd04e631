"""The rows of `anytime.py`: one a contender, set, split, number of images and budget, in a file that only grows."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tuner.statistics.log_loss import log_losses_of_probabilities


@dataclass(frozen=True)
class Cell:
    """What is measured once; `budget` is in seconds, None for a contender that heeds none."""

    contender: str
    set: str
    split: int
    images: int
    pixels: int
    budget: float | None


@dataclass(frozen=True)
class Answers:
    """What a shipped model says of the test images [n] in the order of paths: log losses, 1 where right, and groups."""

    losses: tuple[float, ...] = ()
    right: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def log_loss(self) -> float:
        """The mean log loss, in nats an image."""
        return float(np.mean(self.losses))

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(np.mean(self.right))


@dataclass(frozen=True)
class Row:
    """A measured cell: seconds to the model and then to the answers, where and when; or the `error` instead."""

    cell: Cell
    learned: int
    seconds: float
    predict_seconds: float
    answers: Answers
    error: str | None
    commit: str
    machine: str
    load: float
    at: str


def score(
    probabilities: npt.ArrayLike, classes: list[str], labels: list[str], groups: Iterable[str]
) -> Answers:
    """The answers to images with `labels` [n], of which a model gave `probabilities` [n, classes]."""
    table = np.asarray(probabilities, dtype=np.float64)
    codes = np.array([classes.index(label) for label in labels])
    losses = log_losses_of_probabilities(table, codes)
    right = (table.argmax(axis=1) == codes).astype(int)
    return Answers(tuple(losses.round(6).tolist()), tuple(right.tolist()), tuple(map(str, groups)))


def read_rows(file: Path) -> list[Row]:
    """The rows so far, the last of each cell; a line that a kill has cut is passed over."""
    found: dict[Cell, Row] = {}
    if file.is_file():
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                row = _row(json.loads(line))
            except json.JSONDecodeError:
                continue
            found[row.cell] = row
    return list(found.values())


def add_row(file: Path, row: Row) -> None:
    """Append `row` and have it on the disk."""
    line = json.dumps(asdict(row), ensure_ascii=False)
    cut = file.is_file() and file.stat().st_size > 0 and not file.read_bytes().endswith(b"\n")
    with file.open("a", encoding="utf-8") as out:
        out.write("\n" * cut + line + "\n")
        out.flush()
        os.fsync(out.fileno())


def _row(found: dict[str, object]) -> Row:
    cell, answers = found.pop("cell"), found.pop("answers")
    said = {field.name: tuple(answers[field.name]) for field in fields(Answers)}  # type: ignore[index]
    return Row(cell=Cell(**cell), answers=Answers(**said), **found)  # type: ignore[arg-type]
