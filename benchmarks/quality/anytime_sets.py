"""The image sets of `anytime.py`: where they are, which images are tested, which a contender may learn from."""

import csv
import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import link
from tuner.dataset.allocation import Group, allocate
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import merged_groups, read_groups
from tuner.statistics.groups import group_codes, grouped_folds

KNOWN = {
    "leaves": ("TUNER_POTATO_DATA", "potato"),
    "objects": ("TUNER_OBJECTS_DATA", "objects"),
    "characters": ("TUNER_CHARACTERS_DATA", "characters"),
}
"""The environment variable that names the folder of a set, or the folder that it lies in under this name."""

THIRDS = 3
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImageSet:
    """All images of a set [n]: paths relative to `folder`, classes and groups.

    Images with equal pixels share a group. `grouped` says that groups were given.
    """

    name: str
    folder: Path
    paths: tuple[str, ...]
    labels: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    grouped: bool

    def file_name(self, place: int) -> str:
        """CLASS/NAME, whatever folders the image lies in."""
        label = str(self.labels[place])
        return f"{label}/{self.paths[place].removeprefix(f'{label}/').replace('/', '__')}"


@dataclass(frozen=True)
class Draw:
    """One split of a set: places of the images to learn from and of those to test."""

    images: ImageSet
    learned: Places
    tested: Places


@dataclass(frozen=True)
class LaidOut:
    """What a contender is given: `train` with its `groups`; `test` it sees when it answers."""

    train: Path
    groups: Path | None
    test: Path


def open_set(name: str) -> ImageSet:
    """The set of this name, or the folder; groups are in FOLDER-groups.csv beside it, if there are any."""
    folder = _folder(name)
    found = scan(folder)
    beside = folder.with_name(f"{folder.name}-groups.csv")
    given = read_groups(found, beside if beside.is_file() else None, None)
    names = merged_groups(found.images, given)
    paths = tuple(image.path for image in found.images)
    return ImageSet(
        name if name in KNOWN else folder.name,
        folder,
        paths,
        np.array([image.label for image in found.images]),
        np.array([names[path] for path in paths]),
        bool(given),
    )


def _folder(name: str) -> Path:
    if name not in KNOWN:
        if not Path(name).is_dir():
            raise SystemExit(f"set {name!r} is none of {', '.join(KNOWN)}, and no folder")
        return Path(name).resolve()
    variable, inside = KNOWN[name]
    place = Path(os.environ.get(variable, ""))
    if variable not in os.environ or not place.is_dir():
        raise SystemExit(f"set {name!r} needs {variable}, the folder that holds {inside}/")
    return (place / inside if (place / inside).is_dir() else place).resolve()


def draw(images: ImageSet, split: int, wanted: int) -> Draw:
    """Split number `split`, from 0 on: a third tests, and about `wanted` of the others are learned from, whole groups.

    Splits 0 to 2 test every image once, so do 3 to 5 with other thirds, and so on.
    """
    part, third = divmod(split, THIRDS)
    folds = grouped_folds(group_codes(images.labels), images.groups.tolist(), part, THIRDS)
    tested, rest = np.flatnonzero(folds == third), np.flatnonzero(folds != third)
    if wanted >= len(rest):
        return Draw(images, rest, tested)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for place in rest:
        counts[str(images.groups[place])][str(images.labels[place])] += 1
    groups = [Group(name, counts[name]) for name in sorted(counts)]
    share = wanted / len(rest)
    parts = allocate(groups, ("learned", "left"), (share, 1 - share), split)
    return Draw(images, rest[[parts[str(name)] == "learned" for name in images.groups[rest]]], tested)


def lay_out(drawn: Draw, place: Path) -> LaidOut:
    """Links to the images of the split below `place`, one sub-folder a class, and the groups as a file."""
    images = drawn.images
    for part, places in (("train", drawn.learned), ("test", drawn.tested)):
        for number in places:
            link(place / part / images.file_name(number), images.folder / images.paths[number])
    if not images.grouped:
        return LaidOut(place / "train", None, place / "test")
    with (place / "groups.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "group"])
        writer.writerows([images.file_name(number), images.groups[number]] for number in drawn.learned)
    return LaidOut(place / "train", place / "groups.csv", place / "test")
