"""What a wrong answer costs: the table, the cost that is to be expected of naming a class, and the cheapest one.

Needs numpy only: `tuner predict` and the predict.py of a model folder decide by it.
"""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.errors import InvalidValue, UnknownName
from trainables.wording import NAMED, printable

__all__ = ["decide", "expected_cost", "incurred", "read_costs"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

COLUMNS = ("true", "predicted", "cost")

DEAREST = 1e12
"""The largest cost: sums of larger ones would lose the small ones."""


def read_costs(path: Path, classes: Sequence[str]) -> FloatArray:
    """The costs [true class, named class] of a CSV file with the columns true, predicted and cost.

    A right answer that has no row costs 0. Raises InvalidValue or UnknownName, in one sentence, for a file that can't
    be read, a class that is not among `classes`, a pair that is missing or stands twice, or a cost that is no number
    from 0 to DEAREST.
    """
    matrix = np.full((len(classes), len(classes)), np.nan)
    for line, (true, named, text) in _rows(path):
        i, j = (_number(name, classes, f"{printable(path)}, line {line}") for name in (true, named))
        cost = _cost(text, f"{printable(path)}, line {line}")
        if not math.isnan(matrix[i, j]):
            raise InvalidValue(
                f"{printable(path)}, line {line}: the cost of naming {named!r} where it is {true!r} stands twice;"
                " keep one of them"
            )
        matrix[i, j] = cost
    right = np.diag_indices(len(classes))
    matrix[right] = np.nan_to_num(matrix[right])
    missing = np.argwhere(np.isnan(matrix))
    if len(missing):
        true, named = (classes[code] for code in missing[0])
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InvalidValue(
            f"{printable(path)} lacks the cost of naming {named!r} where it is {true!r}{more};"
            " every wrong pair needs a row"
        )
    if not matrix.any():
        raise InvalidValue(f"{printable(path)}: every cost is 0, so any answer is as good; give some a cost")
    return matrix


def expected_cost(probabilities: npt.ArrayLike, matrix: npt.ArrayLike) -> FloatArray:
    """What naming each class is to be expected to cost, [n, classes], by `probabilities` [n, classes].

    `matrix` [classes, classes] holds costs by true class and named class.

    >>> expected_cost([[0.9, 0.1]], [[0, 1], [20, 0]]).tolist()
    [[2.0, 0.9]]
    """
    return np.asarray(probabilities, dtype=np.float64) @ np.asarray(matrix, dtype=np.float64)


def decide(probabilities: npt.ArrayLike, matrix: npt.ArrayLike) -> IntArray:
    """The class number [n] of least expected cost; of several the likeliest.

    >>> decide([[0.9, 0.1], [0.99, 0.01]], [[0, 1], [20, 0]]).tolist()
    [1, 0]
    """
    found = np.asarray(probabilities, dtype=np.float64)
    costs = expected_cost(found, matrix)
    cheapest = costs <= costs.min(axis=1, keepdims=True) + 1e-12 * np.asarray(matrix).max()
    return np.asarray(np.where(cheapest, found, -1.0).argmax(axis=1), dtype=np.int64)


def incurred(labels: npt.ArrayLike, named: npt.ArrayLike, matrix: npt.ArrayLike) -> FloatArray:
    """What the answers `named` [n] cost where the truth is `labels` [n], each an array of class numbers."""
    paid: FloatArray = np.asarray(matrix, dtype=np.float64)[np.asarray(labels), np.asarray(named)]
    return paid


def _rows(path: Path) -> list[tuple[int, tuple[str, str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = str(error.strerror).lower() if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InvalidValue(f"--costs {printable(path)} can't be read: {why}") from error
    head = text.partition("\n")[0]
    delimiter = next((mark for mark in ";\t" if mark in head), ",")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise InvalidValue(f"--costs {printable(path)} is no CSV file: {error}") from error
    names = [name.strip().lower() for name in next(iter(rows), [])]
    if missing := [name for name in COLUMNS if name not in names]:
        raise InvalidValue(
            f"--costs {printable(path)} has no column {missing[0]!r}; it needs the columns {', '.join(COLUMNS)}"
        )
    places = [names.index(name) for name in COLUMNS]
    found = []
    for line, row in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in row):
            cells = [row[place].strip() if place < len(row) else "" for place in places]
            # A spreadsheet that separates columns by semicolons may write numbers with a comma.
            cost = cells[2].replace(",", ".") if delimiter == ";" else cells[2]
            found.append((line, (cells[0], cells[1], cost)))
    return found


def _number(name: str, classes: Sequence[str], where: str) -> int:
    if name not in classes:
        raise UnknownName(f"{where}: {UnknownName.of('class', name, classes, NAMED)}")
    return list(classes).index(name)


def _cost(text: str, where: str) -> float:
    try:
        cost = float(text)
    except ValueError:
        cost = math.nan
    if not 0 <= cost <= DEAREST:
        raise InvalidValue(f"{where}: cost {text!r} is wrong; it must be a number from 0 to {DEAREST:.0e}")
    return cost
