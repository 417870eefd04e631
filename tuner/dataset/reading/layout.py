"""How the folders of an image folder are meant: classes, or the parts of a split with classes in each."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import DataProblem
from trainables.folders import require_folder
from trainables.wording import NAMED, printable, some
from tuner.dataset.reading.walk import NO_CLASS, NOT_AN_IMAGE, Folder, Stamp, folder_names, read_folder

__all__ = ["EXPECTED", "PARTS", "Found", "Layout", "lay_out", "part_named"]

PARTS = ("train", "val", "test")

EXPECTED = "expected one sub-folder a class with images in it, or train/, val/ and test/ folders of such"

_WORDS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_FILLER = r"(?:datasets?|data|sets?|images?|imgs?|pictures?|photos?|split|folder)*"
_PART = re.compile(f"{_FILLER}({'|'.join(sorted(_WORDS, key=len, reverse=True))}){_FILLER}")


@dataclass(frozen=True)
class Found:
    """A file that should be an image; without a `stamp` where it is not there."""

    path: str
    label: str
    part: str | None
    stamp: Stamp | None


@dataclass(frozen=True)
class Layout:
    """The files by path, pairs of path and reason for the rest, and the names of all class folders.

    `parts` are pairs of folder and part (train, val, test) where the folder is split already.
    """

    found: tuple[Found, ...]
    passed_over: tuple[tuple[str, str], ...]
    labels: frozenset[str]
    parts: tuple[tuple[str, str], ...]


def part_named(name: str) -> str | None:
    """The part of a split that a folder of this name is: 'Testing Data' is test; None for other names."""
    match = _PART.fullmatch(re.sub(r"[\W\d_]+", "", name.lower()))
    return _WORDS[match[1]] if match else None


def lay_out(folder: Path) -> Layout:
    """The files of `folder` that should be images, each with its class, none of them opened.

    Links are followed, but not into a loop. Raises DataProblem if there is no class folder, if a folder can't
    be read, or if the folders are nested so that the classes can't be told.
    """
    require_folder(folder, EXPECTED)
    parts = _parts(folder, folder_names(folder))
    root = read_folder(folder, levels=2 if parts else 1)
    passed_over = [pair for place in root.everything() for pair in place.passed_over]
    for path in [path for path, reason in root.passed_over if reason == NOT_AN_IMAGE]:
        passed_over.remove((path, NOT_AN_IMAGE))
        passed_over.append((path, NO_CLASS))
    passed_over += [(image.path, NO_CLASS) for image in root.images]
    classes = _classes_of_parts(folder, root, parts, passed_over) if parts else _classes(folder, root.folders)
    found = [
        Found(image.path, place.name, part, image.stamp)
        for part, place in classes
        for image in place.all_images()
    ]
    _require_names(folder, [one.path for one in found])
    if not classes:
        raise DataProblem(f"{folder} holds no class folder; {EXPECTED}")
    return Layout(
        tuple(sorted(found, key=lambda one: one.path)),
        tuple(sorted((printable(path), reason) for path, reason in passed_over)),
        frozenset(printable(place.name) for _, place in classes),
        tuple((name, part) for name, part in parts.items() if part in {part for part, _ in classes}),
    )


def _parts(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """The part that each folder is, empty unless train and another are there."""
    named = {name: part for name in names if (part := part_named(name))}
    if "train" not in named.values() or len(set(named.values())) < 2:
        return {}
    for part in PARTS:
        if len(same := [name for name, other in named.items() if other == part]) > 1:
            raise DataProblem(f"{folder} contradicts itself: {_listed(same)} are both {part}; {EXPECTED}")
    return dict(sorted(named.items(), key=lambda pair: PARTS.index(pair[1])))


def _classes_of_parts(
    folder: Path, root: Folder, parts: Mapping[str, str], passed_over: list[tuple[str, str]]
) -> list[tuple[str | None, Folder]]:
    """Part and class folder of all, once nothing speaks against the split."""
    filled = []
    for top in root.folders:
        if top.name not in parts:
            if images := top.all_images():
                raise DataProblem(
                    f"{folder} contradicts itself: {_listed(parts)} are a split, but beside them {_listed([top.name])}"
                    f" holds {_images(len(images))}; move them into the parts, or elsewhere"
                )
            passed_over.append((top.name, "not one of train, val and test"))
        elif top.images:
            raise DataProblem(
                f"{folder} contradicts itself: {_listed(parts)} are a split, but {_listed([top.name])} holds"
                f" {_images(len(top.images))} in no class folder; {EXPECTED}{_alone(folder, parts)}"
            )
        elif not top.all_images():
            passed_over.append((top.name, "holds no image"))
        else:
            filled.append(top)
    if "train" not in [parts[top.name] for top in filled]:
        empty = next(name for name, part in parts.items() if part == "train")
        raise DataProblem(f"{folder}: no class folder holds an image in {_listed([empty])}; {EXPECTED}")
    filled.sort(key=lambda top: PARTS.index(parts[top.name]))
    _require_same_classes(folder, filled)
    classes: list[tuple[str | None, Folder]] = []
    for top in filled:
        classes += [(parts[top.name], place) for _, place in _classes(folder / top.name, top.folders)]
    return classes


def _alone(folder: Path, parts: Mapping[str, str]) -> str:
    train = next(name for name, part in parts.items() if part == "train")
    return f"; to split {printable(train)!r} alone: --data {printable(folder / train)}"


def _require_same_classes(folder: Path, parts: Sequence[Folder]) -> None:
    wanted = {place.name for part in parts for place in part.folders if place.all_images()}
    for part in parts:
        if wanted - {place.name for place in part.folders}:
            each = "; ".join(
                f"{_listed([one.name])} has {_listed(place.name for place in one.folders)}" for one in parts
            )
            raise DataProblem(
                f"{folder} contradicts itself: the parts of its split have different classes: {each};"
                " every part needs a folder of every class"
            )


def _classes(folder: Path, tops: Sequence[Folder]) -> list[tuple[str | None, Folder]]:
    """The class folders, each without a part, once it is sure that they are classes."""
    holding = [top for top in tops if top.all_images()]
    deeper = [top for top in holding if not top.images]
    inner = list(dict.fromkeys(place.name for top in deeper for place in top.folders if place.all_images()))
    if len(holding) == 1 and deeper:
        only = deeper[0].name
        raise DataProblem(
            f"{folder}: all images lie in its one folder {_listed([only])}, with {_listed(inner)} in it;"
            f" if these are the classes or the parts of a split: --data {printable(folder / only)}"
        )
    if deeper:
        flat = [top.name for top in holding if top.images]
        others = f"{_listed(flat)} hold images, but " if flat else ""
        raise DataProblem(
            f"{folder} {'contradicts itself' if flat else 'is nested too deep'}: {others}"
            f"{_listed(top.name for top in deeper)} only folders of images ({_listed(inner)}), so the classes can't"
            f" be told; {EXPECTED}"
        )
    if holding and all(part_named(top.name) for top in holding):
        raise DataProblem(
            f"{folder}: {_listed(top.name for top in holding)} are named as parts of a split, but hold no class"
            f" folders; {EXPECTED}"
        )
    names = {top.name for top in holding}
    for top in holding:
        for place in list(top.everything())[1:]:
            if place.name in names - {top.name} and place.all_images():
                raise DataProblem(
                    f"{folder} contradicts itself: class {top.name!r} holds a folder {place.name!r} of images, which"
                    f" is another class; {EXPECTED}"
                )
    return [(None, top) for top in tops]


def _require_names(folder: Path, paths: Sequence[str]) -> None:
    odd = [path for path in paths if printable(path) != path]
    if odd:
        raise DataProblem(
            f"{folder}: the names of {_images(len(odd))} are no valid UTF-8, so tables can't hold them; rename file or"
            f" folder, the first: {printable(min(odd))}"
        )


def _listed(names: Iterable[str]) -> str:
    shown = [f"'{printable(name)}'" for name in names]
    if len(shown) < 2 or len(shown) > NAMED:
        return some(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
