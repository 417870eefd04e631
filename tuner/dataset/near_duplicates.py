"""Pictures of the same object or scene, found without a groups file: a proposal for a person to look through."""

import csv
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.data.split import class_numbers
from tuner.runs.directory import write_atomically

if TYPE_CHECKING:
    import pandas as pd

    from tuner.dataset.neighbours import Neighbours, Vectors
    from tuner.dataset.reading.scan import Scan

__all__ = [
    "HASH",
    "Against",
    "ImageFeatures",
    "Similar",
    "hashed_features",
    "near_copies",
    "propose",
    "sentences",
    "sentences_against",
    "write_groups",
]

MOST_COMPARED = 2_000_000
"""Images that are compared without being asked to, at most."""

EACH_WITH_EACH = 1000
"""Images of which each is compared with each without being asked to, at most."""

HASH = "perceptual hash"
"""What stands for the backbone's name where none has weights."""


@dataclass(frozen=True)
class ImageFeatures:
    """Features [n, d] of the images of a scan, in its order, and what they are from: a model's name, or `HASH`."""

    values: npt.NDArray[np.float32]
    source: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Against:
    """Similar pairs beside given groups: `within` one group, `across` two, of `known` pairs that the groups hold.

    `pairs_across` [m, 2] are places in the paths, the most alike first.
    """

    within: int
    across: int
    known: int
    pairs_across: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Similar:
    """Which images look like pictures of one object.

    `pairs` [m, 2] are places in `paths`, the most alike first; `groups` [n] numbers the proposed group of each image,
    which may join images of other `labels`. `threshold` is None where nothing stands out.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    source: str
    neighbours: "Neighbours"
    threshold: float | None
    pairs: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    seconds: float

    @property
    def closest(self) -> float | None:
        """The score of the most similar pair, in standard deviations; None where no two were compared."""
        scores = self.neighbours.score[np.isfinite(self.neighbours.score)]
        return float(scores.max()) if len(scores) else None

    def against(self, groups: Mapping[str, str]) -> "Against":
        """How the similar pairs lie in `groups` that a person gave, the group of each image by path."""
        given = np.array([groups[path] for path in self.paths])
        same = given[self.pairs[:, 0]] == given[self.pairs[:, 1]]
        _, sizes = np.unique(given, return_counts=True)
        return Against(
            within=int(same.sum()),
            across=int((~same).sum()),
            known=int((sizes * (sizes - 1) // 2).sum()),
            pairs_across=self.pairs[~same],
        )

    @property
    def members(self) -> list[list[int]]:
        """The groups of more than one image, the largest first: places in `paths`."""
        order = np.argsort(self.groups, kind="stable")
        found = np.split(order, np.flatnonzero(np.diff(self.groups[order])) + 1)
        return sorted((one.tolist() for one in found if len(one) > 1), key=lambda one: (-len(one), one[0]))

    @property
    def names(self) -> dict[str, str]:
        """The proposed group of every image by path; an image that is alone is named by its path."""
        found = dict(zip(self.paths, self.paths, strict=True))
        for number, places in enumerate(self.members, start=1):
            found.update({self.paths[place]: f"similar-{number:04d}" for place in places})
        return found

    def document(self) -> dict[str, Any]:
        """In numbers, as `--json` prints and run.yaml keeps it."""
        members = self.members
        return {
            "features": self.source,
            "threshold": self.threshold,
            "pairs": len(self.pairs),
            "groups": len(members),
            "grouped_images": sum(map(len, members)),
            "largest_group": max(map(len, members), default=0),
            "pairs_across_classes": sum(self.labels[a] != self.labels[b] for a, b in self.pairs.tolist()),
            "seconds": round(self.seconds, 3),
        }

    def near_training(self, split: "pd.DataFrame") -> tuple[int, int]:
        """How many test images of `split` look like one in training, and how many test images there are."""
        from tuner.dataset.neighbours import near

        part = dict(zip(split["path"], split["split"], strict=True))
        parts = np.array([part.get(path, "") for path in self.paths])
        return near(self.pairs, parts == "test", parts == "train"), int((parts == "test").sum())


def propose(scan: "Scan", features: ImageFeatures, seed: int = 0) -> Similar:
    """What `features` of the images of `scan` propose."""
    from tuner.dataset.neighbours import find_neighbours, whitened

    started = time.perf_counter()
    # The bits of a hash are alike in weight already.
    hashed = features.source == HASH
    vectors = features.values if hashed else whitened(features.values)
    return _proposed(scan, features, vectors, find_neighbours(vectors, _codes(scan), seed), started)


def hashed_features(scan: "Scan") -> ImageFeatures:
    """The perceptual hashes of the images of `scan`, which a look at them has brought along."""
    from tuner.dataset.reading.perceptual import hash_vectors

    return ImageFeatures(hash_vectors([image.look for image in scan.images]), HASH, 0.0)


def near_copies(scan: "Scan", seed: int = 0) -> Similar | None:
    """Copies of another size, quality or light, by the perceptual hash; quick, and blind to other angles.

    Of up to `EACH_WITH_EACH` images each is compared with each; of more those whose hashes nearly agree, in a time that
    grows with the images. None of more than `MOST_COMPARED` images, whose neighbours would fill the memory.
    """
    from tuner.dataset.close_hashes import HashVectors
    from tuner.dataset.neighbours import neighbours_among

    if len(scan.images) > MOST_COMPARED:
        return None
    if len(scan.images) <= EACH_WITH_EACH:
        return propose(scan, hashed_features(scan), seed)
    started = time.perf_counter()
    vectors = HashVectors([image.look for image in scan.images])
    neighbours = neighbours_among(vectors, _codes(scan), vectors.pairs(seed), seed)
    return _proposed(
        scan, ImageFeatures(np.empty((0, 0), np.float32), HASH, 0.0), vectors, neighbours, started
    )


def _codes(scan: "Scan") -> npt.NDArray[np.int64]:
    """The class number of every image [n]."""
    return class_numbers([image.label for image in scan.images], scan.classes)


def _proposed(
    scan: "Scan", features: ImageFeatures, vectors: "Vectors", neighbours: "Neighbours", started: float
) -> Similar:
    from tuner.dataset.neighbours import chance_threshold, join, linked
    from tuner.dataset.reading.perceptual import ALIKE

    threshold = chance_threshold(neighbours)
    pairs = linked(neighbours, threshold)
    if features.source == HASH:
        # What hashes that are merely closer than usual show is chance.
        pairs = pairs[_alike(vectors, pairs) >= ALIKE]
    return Similar(
        paths=tuple(image.path for image in scan.images),
        labels=tuple(image.label for image in scan.images),
        source=features.source,
        neighbours=neighbours,
        threshold=threshold,
        pairs=pairs,
        groups=join(len(scan.images), pairs),
        seconds=features.seconds + time.perf_counter() - started,
    )


def _alike(vectors: "Vectors", pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The product of the two vectors of each pair."""
    found = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), 1024):
        ones, others = pairs[start : start + 1024].T
        found[start : start + 1024] = (vectors[ones] * vectors[others]).sum(1)
    return found


def write_groups(found: Similar, path: Path) -> None:
    """Write the proposal as a groups file: path, group."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["path", "group"])
    writer.writerows(found.names.items())
    write_atomically(path, lambda file: file.write_text(text.getvalue(), encoding="utf-8", newline=""))


def sentences_against(found: Against) -> list[str]:
    """How the similar pairs agree with the groups that a person gave, in words; nothing proposes to replace these."""
    total = found.within + found.across
    lines = [
        f"compared with the groups given: {found.within:,} of {total:,} similar pairs lie within one group, and so"
        f" {found.within:,} of the {found.known:,} pairs that the groups hold were found; the groups given stay"
    ]
    if found.across:
        pairs = "1 similar pair lies" if found.across == 1 else f"{found.across:,} similar pairs lie"
        lines.append(
            f"{pairs} in two different groups: look whether both images show the same object; if so, give them the same"
            " group in your file"
        )
    return lines


def sentences(found: Similar) -> list[str]:
    """What was found, in words."""
    total = len(found.paths)
    told = found.document()
    if not len(found.pairs):
        closest = found.closest
        how = (
            ""
            if closest is None
            else f"; the closest pair is {closest:.1f} standard deviations above the usual"
        )
        return [
            f"similar pictures, by {found.source}: no pair of the {total:,} images looks more alike than chance"
            f" explains{how}"
        ]
    lines = [
        f"similar pictures, by {found.source}: {told['pairs']:,} pairs more than {found.threshold:.1f} standard"
        f" deviations more alike than is usual in their class; {told['grouped_images']:,} of {total:,} images in"
        f" {told['groups']:,} groups of up to {told['largest_group']}"
    ]
    if told["pairs_across_classes"]:
        lines.append(
            f"{told['pairs_across_classes']:,} of the pairs have different labels: lookalikes, or one object labelled"
            " twice"
        )
    return lines
