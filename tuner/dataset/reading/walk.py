"""Which files of a folder should be images, and of which class.

Training and `tuner predict` find their images here alike: links are followed, hidden names are passed over, each
folder is read once, and a folder that can't be read is an error.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trainables.data.decode import SUFFIXES
from trainables.errors import DataProblem
from trainables.folders import reason_of
from trainables.wording import printable

__all__ = [
    "HIDDEN",
    "LOOP",
    "NOT_AN_IMAGE",
    "NO_CLASS",
    "File",
    "Folder",
    "Stamp",
    "folder_names",
    "images_below",
    "is_image",
    "read_folder",
]

NO_CLASS = "not in a class folder"
HIDDEN = "hidden"
NOT_AN_IMAGE = "not an image"
LOOP = "a symlink loop, or a folder that was read already"


@dataclass(frozen=True)
class Stamp:
    """By what a file is known again without opening it: size, times in nanoseconds, place on its disk."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """The stamp of a file of this `status`."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True)
class File:
    """A file that should be an image; `path` is relative, with forward slashes; no `stamp` where it is not there."""

    path: str
    stamp: Stamp | None


@dataclass
class Folder:
    """A folder: the images in it, the folders in it, and pairs of path and reason for what was passed over."""

    name: str
    images: list[File] = field(default_factory=list)
    folders: list["Folder"] = field(default_factory=list)
    passed_over: list[tuple[str, str]] = field(default_factory=list)

    def everything(self) -> Iterator["Folder"]:
        """This folder and all below it."""
        yield self
        for folder in self.folders:
            yield from folder.everything()

    def all_images(self) -> list[File]:
        """The images in and below this folder."""
        return [image for folder in self.everything() for image in folder.images]


def read_folder(folder: Path, levels: int = 0) -> Folder:
    """All that is in and below `folder`, no image opened, every folder once.

    The folders of the first `levels` levels are read apart from each other: two of them may lead to the same
    place. Raises DataProblem for a folder that can't be read.
    """
    return _read_below(folder, "", _around(folder), levels)


def folder_names(folder: Path) -> list[str]:
    """The names of the folders in `folder`; raises DataProblem if it can't be read."""
    return [entry.name for entry in _entries(folder) if entry.is_dir()]


def images_below(folder: Path) -> list[Path]:
    """What should be images in and below `folder`, by path, whether or not they can be opened.

    Raises DataProblem for a folder that can't be read.
    """
    found = read_folder(folder)
    names = [image.path for image in found.all_images()]
    # a link that leads nowhere, or a pipe: they are named like images, so they need an answer
    odd = [path for one in found.everything() for path, reason in one.passed_over if _counts(path, reason)]
    return [folder / name for name in sorted(names + odd)]


def is_image(path: str) -> bool:
    """Whether a file of this name should be an image."""
    return path.lower().endswith(SUFFIXES)


def _counts(path: str, reason: str) -> bool:
    return is_image(path) and reason not in (HIDDEN, LOOP)


def _around(folder: Path) -> set[Path]:
    """The real folders on the way to `folder`: a link back to one of them is a loop."""
    real = folder.resolve()
    return {real, *real.parents}


def _read_below(place: Path, prefix: str, seen: set[Path], levels: int) -> Folder:
    """What is in and below `place`; paths begin with `prefix`."""
    found = Folder(place.name)
    for entry in _entries(place):
        relative = prefix + entry.name
        reason, status = _look_at(entry)
        if reason is None and entry.is_dir():
            path = place / entry.name
            real = path.resolve()
            if real not in seen:
                within = set(seen) if levels else seen
                within.add(real)
                found.folders.append(_read_below(path, f"{relative}/", within, max(levels - 1, 0)))
                continue
            reason = LOOP
        if reason is not None or status is None:
            found.passed_over.append((relative, reason or "gone"))
        else:
            found.images.append(File(relative, Stamp.of(status)))
    return found


def _entries(place: Path) -> list["os.DirEntry[str]"]:
    """What is in `place`, links last, so that a folder goes by its own name."""
    try:
        with os.scandir(place) as listing:
            return sorted(listing, key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError as error:
        raise _closed(place, error) from error


def _look_at(entry: "os.DirEntry[str]") -> tuple[str | None, os.stat_result | None]:
    """The reason to pass over `entry`, if there is one, and its status."""
    if entry.name.startswith(".") or entry.name in ("__MACOSX", "__pycache__", "Thumbs.db"):
        return HIDDEN, None
    try:
        status = entry.stat()
        if entry.is_dir():
            return None, status
        if not entry.is_file():
            return "not a regular file", None
    except OSError as error:
        if entry.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return "a symlink loop, or a link that leads nowhere", None
        if error.errno == errno.ENOENT:
            return "gone", None
        raise _closed(Path(entry.path), error) from error
    return (None if is_image(entry.name) else NOT_AN_IMAGE), status


def _closed(path: Path, error: OSError) -> DataProblem:
    return DataProblem(
        f"{printable(path)} can't be opened: {reason_of(error)}; make it readable, or move it elsewhere, since images"
        " in it would be missing"
    )
