"""Which image trains, which validates, which tests: whole groups only, every class in every part."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from trainables.errors import DataProblem, InvalidValue
from trainables.wording import some
from tuner.dataset.allocation import Group, allocate
from tuner.dataset.reading.groups import read_groups
from tuner.dataset.reading.scan import ImageFile, Scan

__all__ = [
    "PARTS",
    "Fractions",
    "fingerprint",
    "leaks",
    "make_split",
    "parse_fractions",
    "random_split_leak",
    "read_groups",
]

Fractions = tuple[float, float, float]

PARTS = ("train", "val", "test")


def parse_fractions(text: str) -> Fractions:
    """Shares of train, val and test in "0.8,0.1,0.1"; raises InvalidValue."""
    try:
        values = [float(piece) for piece in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not all(math.isfinite(v) and v > 0 for v in values):
        raise InvalidValue(f"split {text!r} is not three positive shares of train,val,test, as 0.8,0.1,0.1")
    if abs(sum(values) - 1) > 1e-6:
        raise InvalidValue(f"split {text!r} sums to {sum(values):g}, not to 1, as 0.8,0.1,0.1 does")
    return values[0], values[1], values[2]


def make_split(
    scan: Scan, groups: Mapping[str, str] | None, fractions: Fractions = (0.8, 0.1, 0.1), seed: int = 0
) -> pd.DataFrame:
    """Path, label, group and split (train, val, test) of every image, ordered by path.

    Each class is divided as near to `fractions` as whole groups allow; images with equal pixels share a
    group. A folder with train/, val/ and test/ keeps its parts, and a missing one is carved out of train.
    Raises DataProblem if no split is found that has each class in every part, or if given parts share a group.
    """
    names = merged_groups(scan.images, groups or {})
    given = [image.part for image in scan.images]
    parts = _given_parts(scan, names) if any(given) else {}
    held = set(parts.values())
    missing = [part for part in PARTS if part not in held]
    if missing:
        free = [image for image in scan.images if parts.get(names[image.path], "train") == "train"]
        targets = PARTS if not parts else ("train", *missing)
        shares = [fractions[PARTS.index(part)] for part in targets]
        parts |= _allocated(free, names, targets, shares, seed, bool(groups))
    split = pd.DataFrame(
        {
            "path": [image.path for image in scan.images],
            "label": [image.label for image in scan.images],
            "group": [names[image.path] for image in scan.images],
            "split": [parts[names[image.path]] for image in scan.images],
        }
    )
    _check_presence(split, held)
    return split


def merged_groups(images: Sequence[ImageFile], groups: Mapping[str, str]) -> dict[str, str]:
    """The group of every image once equal pixels join groups; named as the first of those joined.

    An image without a given group is a group of its own, named by its path.
    """
    own = {image.path: groups.get(image.path, image.path) for image in images}
    if len({image.pixels for image in images}) == len(images):
        return own
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    first: dict[str, str] = {}
    for image in images:
        here, there = root(own[image.path]), root(first.setdefault(image.pixels, own[image.path]))
        parent[max(here, there)] = min(here, there)
    return {path: root(name) for path, name in own.items()}


def fingerprint(split: pd.DataFrame) -> str:
    """Hash of which image is where, 16 hexadecimal digits, whatever the order of rows."""
    rows = split[["path", "label", "group", "split"]].sort_values("path").itertuples(index=False)
    text = "\n".join("\0".join(row) for row in rows)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def leaks(split: pd.DataFrame) -> int:
    """How many test images have another image of their group in training."""
    trained = set(split.loc[split["split"] == "train", "group"])
    return int(split.loc[split["split"] == "test", "group"].isin(trained).sum())


def random_split_leak(scan: Scan, groups: Mapping[str, str] | None, fractions: Fractions) -> float:
    """Expected share of test images, under a random split by image, with one of their group in training.

    Exact, not drawn: of the other N - 1 images a random n are trained on, and all k of the same group are
    spared with probability C(N-1-k, n) / C(N-1, n).
    """
    names = merged_groups(scan.images, groups or {})
    _, sizes = np.unique(list(names.values()), return_counts=True)
    others = len(names) - 1
    trained = min(round(fractions[0] * len(names)), others)
    spared = {int(size): _spared(others, trained, int(size) - 1) for size in np.unique(sizes)}
    return float(sum(size * (1.0 - spared[int(size)]) for size in sizes) / len(names))


def _spared(others: int, trained: int, relatives: int) -> float:
    chance = 1.0
    for i in range(relatives):
        chance *= max(others - trained - i, 0) / (others - i)
    return chance


def _given_parts(scan: Scan, names: Mapping[str, str]) -> dict[str, str]:
    """The part of every group of a folder that is split already."""
    first: dict[str, ImageFile] = {}
    for image in scan.images:
        other = first.setdefault(names[image.path], image)
        if other.part != image.part:
            why = "the same pixels" if other.pixels == image.pixels else f"the group {names[image.path]!r}"
            raise DataProblem(
                f"{other.path!r} and {image.path!r} share {why}, but are in different parts of the split;"
                " move whole groups into one part, or merge the parts and let tuner split"
            )
    return {name: str(image.part) for name, image in first.items()}


def _allocated(
    images: Sequence[ImageFile],
    names: Mapping[str, str],
    parts: Sequence[str],
    shares: Sequence[float],
    seed: int,
    grouped: bool,
) -> dict[str, str]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for image in images:
        counts[names[image.path]][image.label] += 1
    groups = [Group(name, dict(counts[name])) for name in sorted(counts)]
    _check_enough(groups, parts, grouped)
    return allocate(groups, parts, [share / sum(shares) for share in shares], seed)


def _check_enough(groups: Sequence[Group], parts: Sequence[str], grouped: bool) -> None:
    held: dict[str, list[int]] = defaultdict(list)
    for group in groups:
        for label, count in group.counts.items():
            held[label].append(count)
    unit = "group" if grouped else "image"
    few = [
        f"class {label!r} has {len(sizes)} {unit}{'s' * (len(sizes) != 1)}"
        + (f" ({sum(sizes)} images)" if grouped else "")
        for label, sizes in sorted(held.items())
        if len(sizes) < len(parts)
    ]
    if few:
        kind = f"{unit}s" if grouped else "different images"
        raise DataProblem(
            f"{some(few, between='; ')}: a class needs at least {len(parts)} {kind}, one each for {', '.join(parts)};"
            " add photographs, or remove the class"
        )


def _check_presence(split: pd.DataFrame, given: Collection[str]) -> None:
    """Raise DataProblem for a class without an image in some part; `given` are the parts that the folder has."""
    table = pd.crosstab(split["label"], split["split"]).reindex(columns=list(PARTS), fill_value=0)
    lacking = [(str(label), part) for label in table.index for part in PARTS if table.loc[label, part] == 0]
    if not lacking:
        return
    label, part = lacking[0]
    if part in given:
        raise DataProblem(
            f"class {label!r} has no image in {part}, which the folder gives; move whole groups of it there, merge the"
            " parts and let tuner split, or remove the class"
        )
    groups = split.loc[split["label"] == label, "group"].nunique()
    raise DataProblem(
        f"no split was found that has every class in {', '.join(PARTS)} and keeps groups whole: class {label!r} has no"
        f" image in {part}, since some of its {groups} groups hold other classes too; add photographs of it in groups"
        " of their own, or remove the class"
    )
