"""Which images show the same thing: from a table, as spreadsheets write it, or from a pattern in the paths."""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from trainables.data.decode import printable
from trainables.data.scan import Scan
from trainables.errors import DataProblem, InvalidValue

__all__ = ["read_groups"]

_NEEDED = ("path", "group")
_DELIMITERS = (",", ";", "\t", "|")


def read_groups(scan: Scan, csv: Path | None, regex: str | None) -> dict[str, str]:
    """The group of every image by path; empty if neither a file nor a pattern is given.

    `csv` has the columns path (relative to the folder) and group; rows of other files are ignored. `regex`
    is searched in the path: its one parenthesis is the group, else the whole match. Raises DataProblem for
    images without a group, InvalidValue for a pattern that is none.
    """
    if csv is not None and regex is not None:
        raise InvalidValue(f"groups come from a file ({csv}) or from a pattern ({regex!r}), not from both")
    if csv is not None:
        if printable(csv) != str(csv):
            raise DataProblem(
                f"groups file {printable(csv)}: its path is no valid UTF-8, so it can't be written down; rename it"
            )
        groups, source = _groups_of_file(scan, csv), str(csv)
    elif regex is not None:
        groups, source = _groups_of_pattern(scan, regex), f"the pattern {regex!r}"
    else:
        return {}
    missing = [image.path for image in scan.images if image.path not in groups]
    if missing:
        named = ", ".join(repr(path) for path in missing[:3])
        more = ", ..." if len(missing) > 3 else ""
        raise DataProblem(
            f"{source} gives no group to {len(missing)} of {len(scan.images)} images: {named}{more};"
            f" every image needs one, paths are relative to {scan.folder}"
        )
    return {image.path: groups[image.path] for image in scan.images}


def _groups_of_file(scan: Scan, file: Path) -> dict[str, str]:
    known = {image.path for image in scan.images}
    # macOS writes é as e and an accent, spreadsheets as one letter
    composed = {unicodedata.normalize("NFC", path): path for path in known}
    groups: dict[str, str] = {}
    for raw, group in _rows(file):
        path = next((p for p in map(_relative, (raw, raw.strip())) if p in known), _relative(raw.strip()))
        path = composed.get(unicodedata.normalize("NFC", path), path)
        if group and groups.setdefault(path, group) != group:
            raise DataProblem(f"groups file {file} gives {path!r} two groups: {groups[path]!r} and {group!r}")
    return groups


def _relative(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).as_posix()


def _rows(file: Path) -> Iterator[tuple[str, str]]:
    """Path, as it is written, and group, without spaces around it, of every row."""
    text = _text(file)
    first = next((line for line in text.splitlines() if line.strip(" \t,;|")), "")
    if match := re.fullmatch(r"sep=(.)", first.strip(), re.IGNORECASE):  # a line of Excel's own
        text = text.split("\n", text.split(first)[0].count("\n") + 1)[-1]
        delimiter = match[1]
    else:
        delimiter = next((d for d in _DELIMITERS if set(_NEEDED) <= set(_header(first, d))), ",")
    try:
        lines = [
            row
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise DataProblem(f"groups file {file} can't be read: {error}") from error
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    places = _places(file, header)
    for row in lines[1:]:
        if any(cell.strip() for cell in row[len(header) :]):
            raise DataProblem(
                f"groups file {file} has {len(row)} values for {len(header)} columns in the row {row[0]!r};"
                f" put quotes around a value that holds {delimiter!r}"
            )
        path, group = (row[place] if place < len(row) else "" for place in places)
        if "\n" in path:
            raise DataProblem(
                f"groups file {file} can't be read: the quote before {path[:40]!r} is not closed"
            )
        yield path, group.strip()


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
        wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = raw.decode("utf-16" if wide else "utf-8-sig").lstrip("\ufeff")
    except OSError as error:
        raise DataProblem(f"groups file {file} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataProblem(
            f"groups file {file} can't be read: it is no UTF-8 ({error.reason}); save it as 'CSV UTF-8'"
        ) from error
    if not text.strip():
        raise DataProblem(f"groups file {file} can't be read: it is empty")
    return text


def _header(line: str, delimiter: str) -> list[str]:
    return [cell.strip(' "').lower() for cell in line.split(delimiter)]


def _places(file: Path, header: Sequence[str]) -> tuple[int, int]:
    """Where in a row path and group stand."""
    if not set(_NEEDED) <= set(header):
        has = ", ".join(name for name in header if name)
        raise DataProblem(f"groups file {file} needs the columns path and group; it has {has}")
    for name in _NEEDED:
        if header.count(name) > 1:
            raise DataProblem(f"groups file {file} has {header.count(name)} columns {name!r}; one is needed")
    return header.index("path"), header.index("group")


def _groups_of_pattern(scan: Scan, regex: str) -> dict[str, str]:
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise InvalidValue(f"group pattern {regex!r} is no regular expression: {error}") from error
    if pattern.groups > 1:
        raise InvalidValue(
            f"group pattern {regex!r} has {pattern.groups} parentheses; one is the group,"
            " write (?:...) for the rest"
        )
    groups = {}
    for image in scan.images:
        match = pattern.search(image.path)
        if match and (group := match.group(pattern.groups)):
            groups[image.path] = group
    if not groups:
        raise DataProblem(
            f"group pattern {regex!r} matches none of {len(scan.images)} paths,"
            f" such as {scan.images[0].path!r}"
        )
    return groups
