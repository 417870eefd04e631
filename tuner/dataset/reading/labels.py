"""Labels from a table, with images anywhere below a folder, and which images are left out by another table.

A labels file has the columns path (relative to the folder) and label, and may have group and split; the groups are
read by `groups.read_groups`. Rows of a file that is not there count as images that can't be read.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from trainables.data.decode import SUFFIXES
from trainables.errors import DataProblem
from trainables.folders import require_folder
from trainables.wording import printable, some
from tuner.dataset.reading.layout import PARTS, Found, Layout, part_named
from tuner.dataset.reading.table import Paths, Table, read_table
from tuner.dataset.reading.walk import File, Stamp, read_folder

__all__ = ["LEAVE_OUT", "NOT_LISTED", "alike", "fits", "has_groups", "lay_out_table", "read_left_out"]

NOT_LISTED = "not in the labels file"
LEAVE_OUT = "leave_out"
"""The column in which a person marks an image that shall not be used."""

_NO = ("", "0", "no", "n", "false")
_SEPARATORS = r"[|;,]"


def lay_out_table(folder: Path, labels: Path) -> Layout:
    """The files that the table `labels` names below `folder`, each with its class, none of them opened.

    Images that it does not name are passed over. Raises DataProblem for a table that can't be read, for an image
    without a label or with several, and for a split that is only half given.
    """
    require_folder(folder, "expected the folder below which the images of the labels file lie")
    table = read_table(labels, "labels", ("path", "label"), ("group", "split"))
    root = read_folder(folder)
    there = {image.path: image for image in root.all_images()}
    named = _by_path(labels, folder, table, there)
    _check_single(labels, {path: row["label"] for path, row in named.items()})
    written = {path: row["split"].strip() for path, row in named.items()} if "split" in table.columns else {}
    parts = _parts(labels, written)
    found = []
    for path, row in named.items():
        file = there.get(path) or _file(folder, path)
        found.append(Found(path, row["label"], parts.get(path), file.stamp))
    passed_over = [pair for place in root.everything() for pair in place.passed_over if pair[0] not in named]
    passed_over += [(path, NOT_LISTED) for path in there if path not in named]
    words = {word: part for path, word in written.items() if (part := parts.get(path))}
    return Layout(
        tuple(sorted(found, key=lambda one: one.path)),
        tuple(sorted((printable(path), reason) for path, reason in passed_over)),
        frozenset(one.label for one in found),
        tuple(sorted(words.items(), key=lambda pair: (PARTS.index(pair[1]), pair[0]))),
    )


def fits(folder: Path, labels: Path) -> bool:
    """Whether the table `labels` names at least one file below `folder`; raises DataProblem if it can't be read."""
    there = {image.path for image in read_folder(folder).all_images()}
    paths = Paths(there)
    meant = (paths.meant(row["path"]) for row in read_table(labels, "labels", ("path",)).rows)
    return any(
        path in there or (_inside(folder, path) is not None and (folder / path).exists()) for path in meant
    )


def alike(path: str, there: Iterable[str]) -> str | None:
    """Which of the paths `there` a table may mean by `path`: another case, no ending, another folder before it."""
    wanted = _words(path)
    best, most = None, 0
    for candidate in there:
        parts = _words(candidate)
        same = 0
        while same < min(len(parts), len(wanted)) and parts[-1 - same] == wanted[-1 - same]:
            same += 1
        if same > most or (not most and "".join(parts) == "".join(wanted)):
            best, most = candidate, max(same, 1)
    return best


def _words(path: str) -> list[str]:
    """The folders and the name of a path in small letters, without the ending of an image."""
    place = PurePosixPath(path.lower())
    return [
        *place.parts[:-1],
        place.name.removesuffix(next((s for s in SUFFIXES if place.name.endswith(s)), "")),
    ]


def has_groups(labels: Path) -> bool:
    """Whether the table `labels` has a column group with something in it."""
    return any(
        row.get("group", "").strip() for row in read_table(labels, "labels", ("path",), ("group",)).rows
    )


def read_left_out(file: Path) -> list[str]:
    """The paths that a table marks in its column `leave_out`; all of them where it has no such column.

    Raises DataProblem if it marks none.
    """
    table = read_table(file, "--without", ("path",), (LEAVE_OUT,))
    marked = [
        row["path"]
        for row in table.rows
        if LEAVE_OUT not in table.columns or row[LEAVE_OUT].strip().lower() not in _NO
    ]
    if not marked:
        raise DataProblem(
            f"--without file {file} marks none of its {len(table.rows)} images; write yes into the column"
            f" {LEAVE_OUT} of those to leave out"
        )
    return marked


def _by_path(
    labels: Path, folder: Path, table: Table, there: Mapping[str, File]
) -> dict[str, dict[str, str]]:
    """The row of every image, its label without spaces around it."""
    paths = Paths(there)
    found: dict[str, dict[str, str]] = {}
    unlabelled = []
    for row in table.rows:
        path, label = _below(labels, folder, paths.meant(row["path"])), row["label"].strip()
        if not label:
            unlabelled.append(path)
            continue
        if (first := found.setdefault(path, {**row, "label": label}))["label"] != label:
            raise _several(labels, path, [first["label"], label])
        for name in ("group", "split"):
            if first.get(name, "").strip() != row.get(name, "").strip():
                raise DataProblem(
                    f"labels file {labels} names {path!r} twice, with the {name}s {first[name]!r} and {row[name]!r}"
                )
    if bare := [path for path in unlabelled if path not in found]:
        raise DataProblem(
            f"labels file {labels} gives no label to {len(bare)} of {len(bare) + len(found)} images:"
            f" {some(map(repr, bare))}; every image needs one, or its row removed"
        )
    return found


def _below(labels: Path, folder: Path, path: str) -> str:
    """`path` relative to `folder`."""
    inside = _inside(folder, path)
    if inside is None:
        raise DataProblem(
            f"labels file {labels}: {path!r} does not lie below {folder}; paths are relative to that folder"
        )
    return inside


def _inside(folder: Path, path: str) -> str | None:
    """`path` relative to `folder`; None if it does not lie below it."""
    if Path(path).is_absolute() and Path(path).is_relative_to(folder):
        path = Path(path).relative_to(folder).as_posix()
    return None if Path(path).is_absolute() or ".." in Path(path).parts else path


def _check_single(labels: Path, named: Mapping[str, str]) -> None:
    """Refuse labels that are lists of labels."""
    known = set(named.values())
    for path, label in named.items():
        pieces = [piece.strip() for piece in re.split(_SEPARATORS, label)]
        if re.fullmatch(r"\[.*\]|\{.*\}", label):
            raise _several(labels, path, [label])
        if len(pieces) > 1 and all(piece in known for piece in pieces):
            raise _several(labels, path, pieces)


def _several(labels: Path, path: str, given: list[str]) -> DataProblem:
    names = some(map(repr, given), between=" and ")
    return DataProblem(
        f"labels file {labels} gives {path!r} several labels: {names}; tuner learns one class an image, so give it one,"
        " or make a class of each combination"
    )


def _parts(labels: Path, written: Mapping[str, str]) -> dict[str, str]:
    """The part of every image; empty where the column is."""
    if not any(written.values()):
        return {}
    empty = [path for path, word in written.items() if not word]
    if empty:
        raise DataProblem(
            f"labels file {labels} gives a split to some images, but none to {len(empty)}: {some(map(repr, empty))};"
            " fill the column, or remove it"
        )
    parts = {}
    for path, word in written.items():
        part = part_named(word)
        if part is None:
            raise DataProblem(
                f"labels file {labels} puts {path!r} into the split {word!r}; known: train, val and test"
            )
        parts[path] = part
    if "train" not in parts.values():
        raise DataProblem(f"labels file {labels} puts no image into train; its column split needs some")
    return parts


def _file(folder: Path, path: str) -> File:
    """A file that the walk did not take for an image."""
    try:
        return File(path, Stamp.of((folder / path).stat()))
    except OSError:
        return File(path, None)
