"""Answers for images, and the table they are written to while they are made."""

import contextlib
import csv
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trainables.errors import InvalidValue
from trainables.wording import printable
from tuner.console.reporter import Reporter

__all__ = ["OUT_SUFFIXES", "UNSURE", "Prediction", "check_suffix", "document", "write_predictions", "writing"]

OUT_SUFFIXES = (".parquet", ".csv", ".json")
FIXED = ("path", "class", "probability", "error", "strangeness", "set")
UNSURE = "unsure"
"""What stands for the class of an image that no class is likely enough for."""

_ROWS_AT_ONCE = 4096
"""Rows of a Parquet file that wait for each other; fewer make slow files."""

Add = Callable[[Sequence["Prediction"]], None]


@dataclass(frozen=True)
class Prediction:
    """The answer for one image: one probability a class, or None and the `error` why not.

    `named` is the number of the class that is named, by default the likeliest; `unsure` says that none is likely
    enough. `classes_in_set` are the numbers of the classes in the image's set, None where no sets were asked for.
    `strangeness` says how unlike the training images it is, 1 being the limit of 99 % of validation; None for models
    that don't say.
    """

    path: str
    probabilities: tuple[float, ...] | None
    error: str | None = None
    named: int | None = None
    unsure: bool = False
    classes_in_set: tuple[int, ...] | None = None
    strangeness: float | None = None

    @property
    def number(self) -> int:
        """The number of the class that is named, or would be; raises ValueError for an image that can't be read."""
        if self.probabilities is None:
            raise ValueError(f"{printable(self.path)} has no answer: {self.error}")
        if self.named is not None:
            return self.named
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    def row(self, classes: Sequence[str]) -> dict[str, Any]:
        r"""As a row of the table: path, class, probability, error, strangeness and set if any, a column a class.

        Bytes of the path that are no UTF-8 are written as \xe9.
        """
        path, names = printable(self.path), _columns(classes)
        if self.probabilities is None:
            empty = {"class": None, "probability": None, "error": self.error}
            return {"path": path, **empty, **dict.fromkeys(names)}
        found: dict[str, Any] = {
            "class": UNSURE if self.unsure else classes[self.number],
            "probability": self.probabilities[self.number],
            "error": None,
        }
        if self.strangeness is not None:
            found["strangeness"] = self.strangeness
        if self.classes_in_set is not None:
            found["set"] = [classes[number] for number in self.classes_in_set]
        return {"path": path, **found, **dict(zip(names, self.probabilities, strict=True))}

    def line(self, classes: Sequence[str]) -> str:
        """As a line of the terminal: path, class and probability, or path and error, with tabs between."""
        row = self.row(classes)
        said = f"error: {self.error}" if self.error else f"{row['class']}\t{row['probability']:.4f}"
        chosen = f"\t{{{', '.join(row['set'])}}}" if "set" in row else ""
        strange = (
            f"\tunlike the training images ({self.strangeness:.2f})" if (self.strangeness or 0) > 1 else ""
        )
        return f"{row['path']}\t{said}{chosen}{strange}"


def document(answers: Sequence[Prediction], classes: Sequence[str]) -> dict[str, Any]:
    """The answers as one JSON document."""
    return {"classes": list(classes), "images": [answer.row(classes) for answer in answers]}


def check_suffix(path: Path) -> None:
    """Raise InvalidValue unless predictions can be written to such a file."""
    if path.suffix.lower() not in OUT_SUFFIXES:
        raise InvalidValue(f"--out {path} must end in {', '.join(OUT_SUFFIXES)}")


def write_predictions(answers: Sequence[Prediction], classes: Sequence[str], path: Path) -> None:
    """Write one row an image to `path`, whose suffix says how; raises InvalidValue for another suffix."""
    sets, strange = (
        any(getattr(one, name) is not None for one in answers) for name in ("classes_in_set", "strangeness")
    )
    with writing(path, classes, sets=sets, strange=strange) as add:
        add(answers)


@contextlib.contextmanager
def writing(
    path: Path,
    classes: Sequence[str],
    reporter: Reporter | None = None,
    *,
    sets: bool = False,
    strange: bool = False,
) -> Iterator[Add]:
    """A function that adds answers to `path`, which appears when all are there; `sets` and `strange` want a column.

    A set is a list; in a .csv file, which has none, it is written as JSON.

    They are on disk as they come, in a temporary neighbour. If the block raises, that becomes
    NAME.partial.SUFFIX, so that nothing is lost. Raises InvalidValue for another suffix, or a place where nothing
    can be written.
    """
    check_suffix(path)
    if path.is_dir():
        raise InvalidValue(f"{printable(path)} can't be written: it is a folder")
    writers: Mapping[str, Callable[[Path, Sequence[str]], _Writer]] = {
        ".parquet": _Parquet,
        ".csv": _Csv,
        ".json": _Json,
    }
    writer = writers[path.suffix.lower()]
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    try:
        unwanted = {name for name, wanted in (("set", sets), ("strangeness", strange)) if not wanted}
        fixed = [name for name in FIXED if name not in unwanted]
        opened = _Table(writer(temporary, [*fixed, *_columns(classes)]), classes)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InvalidValue(f"{printable(path)} can't be written: {_why(error, path)}") from error

    def told(write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            raise InvalidValue(f"{printable(path)} can't be written: {_why(error, path)}") from error

    def finish() -> None:
        opened.close()
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)

    try:
        yield lambda answers: told(lambda: opened.add(answers))
        told(finish)
    except BaseException:
        _keep(opened, temporary, path, reporter or Reporter())
        raise


def _keep(opened: "_Table", temporary: Path, path: Path, reporter: Reporter) -> None:
    """Leave the answers so far under a name that can be found."""
    # A full disk may be why: then what is there is all that can be kept.
    with contextlib.suppress(OSError):
        opened.close()
    if not opened.rows:
        temporary.unlink(missing_ok=True)
        return
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    with contextlib.suppress(OSError):
        temporary.replace(partial)
        reporter.warn(f"the {opened.rows:,} answers so far are in {printable(partial)}")


def _why(error: OSError, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return "its folder does not exist"
    return (error.strerror or str(error)).lower()


def _columns(classes: Sequence[str]) -> list[str]:
    return [f"class {name}" if name in FIXED else name for name in classes]


class _Writer(Protocol):
    """A file that grows by rows."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add `rows`."""

    def close(self) -> None:
        """Make it whole; a second time does nothing."""


class _Table:
    """Answers as rows of a file; `rows` counts what was written."""

    def __init__(self, writer: _Writer, classes: Sequence[str]) -> None:
        self._writer, self._classes, self.rows = writer, classes, 0

    def add(self, answers: Sequence[Prediction]) -> None:
        self._writer.write([answer.row(self._classes) for answer in answers])
        self.rows += len(answers)

    def close(self) -> None:
        self._writer.close()


class _Csv:
    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, fieldnames=list(names))
        self._writer.writeheader()

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._writer.writerows(
            row if row.get("set") is None else {**row, "set": json.dumps(row["set"], ensure_ascii=False)}
            for row in rows
        )
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Json:
    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._next = "[\n"

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self._file.write(self._next + json.dumps(row, ensure_ascii=False, indent=2))
            self._next = ",\n"
        self._file.flush()

    def close(self) -> None:
        if not self._file.closed:
            try:
                self._file.write("[]\n" if self._next == "[\n" else "\n]\n")
            finally:
                self._file.close()


class _Parquet:
    def __init__(self, path: Path, names: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {**dict.fromkeys(("path", "class", "error"), pa.string()), "set": pa.list_(pa.string())}
        self._schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in names])
        self._waiting: list[Mapping[str, Any]] = []
        self._writer = pq.ParquetWriter(path, self._schema)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._waiting += rows
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
            self._waiting = []

    def close(self) -> None:
        try:
            self._flush()
        finally:
            self._writer.close()
