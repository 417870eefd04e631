"""A table as spreadsheets write it: whatever delimits its columns, whatever stands before its first line."""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainables.errors import DataProblem
from trainables.wording import printable, some

__all__ = ["Paths", "Table", "read_table"]

_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Table:
    """The columns that a table has, in small letters, and its rows: the values by column, as they are written."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


class Paths:
    """Paths of images, found as a table may write them."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        # macOS writes é as e and an accent, spreadsheets as one letter
        self._composed = {unicodedata.normalize("NFC", path): path for path in known}

    def meant(self, raw: str) -> str:
        """The known path that `raw` means, else `raw` with forward slashes and without spaces around it."""
        path = next(
            (p for p in map(_relative, (raw, raw.strip())) if p in self._known), _relative(raw.strip())
        )
        return self._composed.get(unicodedata.normalize("NFC", path), path)


def read_table(file: Path, kind: str, needed: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """The columns `needed` and, where they are there, `optional` of a table with the column path.

    `kind` is what errors call the file. Raises DataProblem for a file that can't be read, lacks a column or has one
    twice.
    """
    if printable(file) != str(file):
        raise DataProblem(
            f"{kind} file {printable(file)}: its path is no valid UTF-8, so it can't be written down; rename it"
        )
    lines, delimiter = _lines(file, kind, needed)
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    _check_header(file, kind, header, needed, optional)
    places = {name: header.index(name) for name in (*needed, *optional) if name in header}
    rows = tuple(_rows(file, kind, lines[1:], header, places, delimiter))
    return Table(tuple(name for name in header if name), rows)


def _relative(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).as_posix()


def _rows(
    file: Path,
    kind: str,
    lines: Sequence[Sequence[str]],
    header: Sequence[str],
    places: dict[str, int],
    delimiter: str,
) -> Iterator[dict[str, str]]:
    for line in lines:
        if any(cell.strip() for cell in line[len(header) :]):
            raise DataProblem(
                f"{kind} file {file} has {len(line)} values for {len(header)} columns in the row {line[0]!r};"
                f" put quotes around a value that holds {delimiter!r}"
            )
        row = {name: line[place] if place < len(line) else "" for name, place in places.items()}
        if "\n" in row["path"]:
            raise DataProblem(
                f"{kind} file {file} can't be read: the quote before {row['path'][:40]!r} is not closed"
            )
        yield row


def _lines(file: Path, kind: str, needed: Sequence[str]) -> tuple[list[list[str]], str]:
    """The lines with something in them, cut into cells, and the delimiter."""
    text = _text(file, kind)
    first = next((line for line in text.splitlines() if line.strip(" \t,;|")), "")
    if match := re.fullmatch(r"sep=(.)", first.strip(), re.IGNORECASE):  # a line of Excel's own
        text = text.split("\n", text.split(first)[0].count("\n") + 1)[-1]
        delimiter = match[1]
    else:
        delimiter = next((d for d in _DELIMITERS if set(needed) <= set(_header(first, d))), ",")
    try:
        lines = [
            row
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise DataProblem(f"{kind} file {file} can't be read: {error}") from error
    return lines, delimiter


def _text(file: Path, kind: str) -> str:
    try:
        raw = file.read_bytes()
        wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = raw.decode("utf-16" if wide else "utf-8-sig").lstrip("\ufeff")
    except OSError as error:
        raise DataProblem(f"{kind} file {file} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataProblem(
            f"{kind} file {file} can't be read: it is no UTF-8 ({error.reason}); save it as 'CSV UTF-8'"
        ) from error
    if not text.strip():
        raise DataProblem(f"{kind} file {file} can't be read: it is empty")
    return text


def _header(line: str, delimiter: str) -> list[str]:
    return [cell.strip(' "').lower() for cell in line.split(delimiter)]


def _check_header(
    file: Path, kind: str, header: Sequence[str], needed: Sequence[str], optional: Sequence[str]
) -> None:
    if not set(needed) <= set(header):
        has = some((name for name in header if name), most=10)
        names = f"columns {' and '.join(needed)}" if len(needed) > 1 else f"column {needed[0]}"
        raise DataProblem(f"{kind} file {file} needs the {names}; it has {has}")
    for name in (*needed, *optional):
        if header.count(name) > 1:
            raise DataProblem(f"{kind} file {file} has {header.count(name)} columns {name!r}; one is needed")
