"""Which files of a folder should be images, and of which class."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainables.data.decode import SUFFIXES
from trainables.errors import DataProblem

__all__ = ["EXPECTED", "PARTS", "Found", "Walk", "walk"]

PARTS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Folder names, in lower case, that make a folder one part of a ready split."""

EXPECTED = "expected one sub-folder a class with images in it, or train/, val/ and test/ folders of such"


@dataclass(frozen=True)
class Found:
    """A file that should be an image."""

    path: str
    label: str
    part: str | None
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Walk:
    """The files by path, pairs of path and reason for the rest, and the names of all class folders."""

    found: tuple[Found, ...]
    passed_over: tuple[tuple[str, str], ...]
    labels: frozenset[str]


def walk(folder: Path) -> Walk:
    """The files of `folder` that should be images, none of them opened.

    Links are followed, but not into a loop. Raises DataProblem if there is no class folder.
    """
    if not folder.is_dir():
        wrong = "is not a folder" if folder.exists() else "does not exist"
        raise DataProblem(f"{folder} {wrong}; {EXPECTED}")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise DataProblem(f"{folder} can't be read: permission denied")
    found: list[Found] = []
    passed_over: list[tuple[str, str]] = []
    labels: set[str] = set()
    tops = list(_folders(folder, folder, _around(folder), passed_over, "not in a class folder"))
    split = _is_split([top.name for top in tops])
    for top in tops:
        part = PARTS.get(top.name.lower()) if split else None
        if split and part is None:
            passed_over.append((top.name, "not one of train, val and test"))
            continue
        classes = [top]
        if part:
            reason = f"in {top.name} but not in a class folder"
            classes = list(_folders(folder, top, _around(top), passed_over, reason))
        for place in classes:
            labels.add(place.name)
            for path, size, mtime_ns in _files(folder, place, _around(place) | _around(folder), passed_over):
                found.append(Found(path, place.name, part, size, mtime_ns))
    if not labels:
        raise DataProblem(f"{folder} holds no class folder; {EXPECTED}")
    by_path = sorted(found, key=lambda file: file.path)
    return Walk(tuple(by_path), tuple(sorted(passed_over)), frozenset(labels))


def _is_split(names: list[str]) -> bool:
    parts = {PARTS.get(name.lower()) for name in names}
    return "train" in parts and bool(parts & {"val", "test"})


def _around(place: Path) -> set[Path]:
    """The real folders on the way to `place`: a link back to one of them is a loop."""
    real = place.resolve()
    return {real, *real.parents}


def _folders(
    root: Path, place: Path, seen: set[Path], passed_over: list[tuple[str, str]], file_reason: str
) -> Iterator[Path]:
    for entry, reason in _entries(place):
        path = place / entry.name
        if not reason and entry.is_dir():
            reason = "a symlink loop" if entry.is_symlink() and path.resolve() in seen else None
            if reason is None:
                yield path
                continue
        passed_over.append((_relative(root, path), reason or file_reason))


def _files(
    root: Path, place: Path, seen: set[Path], passed_over: list[tuple[str, str]]
) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of the image files in and below `place`."""
    for entry, reason in _entries(place):
        path = place / entry.name
        relative = _relative(root, path)
        if not reason and entry.is_dir():
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                yield from _files(root, path, seen, passed_over)
                continue
            reason = "a symlink loop, or a folder that was read already"
        elif not reason and not entry.is_file():
            reason = "not a regular file"
        elif not reason and path.suffix.lower() not in SUFFIXES:
            reason = "not an image"
        if reason:
            passed_over.append((relative, reason))
        else:
            status = entry.stat()
            yield relative, status.st_size, status.st_mtime_ns


def _entries(place: Path) -> Iterator[tuple["os.DirEntry[str]", str | None]]:
    """What is in `place`, links last, each with the reason to pass it over, if there is one."""
    with os.scandir(place) as listing:
        entries = sorted(listing, key=lambda entry: (entry.is_symlink(), entry.name))
    for entry in entries:
        yield entry, _reason(entry)


def _reason(entry: "os.DirEntry[str]") -> str | None:
    if entry.name.startswith(".") or entry.name in ("__MACOSX", "__pycache__", "Thumbs.db"):
        return "hidden"
    try:
        entry.name.encode()
        entry.stat()
        if entry.is_dir():
            with os.scandir(entry.path):
                pass
    except UnicodeEncodeError:
        return "its name is not valid UTF-8"
    except OSError as error:
        broken = "a symlink loop, or a link that leads nowhere" if entry.is_symlink() else None
        return broken or f"can't be opened: {error.strerror}"
    return None


def _relative(root: Path, path: Path) -> str:
    # backslashes keep a name printable that is no valid UTF-8
    return path.relative_to(root).as_posix().encode(errors="backslashreplace").decode()
