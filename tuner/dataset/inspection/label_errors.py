"""Images whose label a probe on the other images doubts, the most doubtful first. Nothing is deleted or relabelled."""

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
from trainables.errors import WeightsUnavailable
from trainables.models.selection import ways_out
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.dataset.near_duplicates import ImageFeatures
from tuner.dataset.reading.labels import LEAVE_OUT
from tuner.runs.directory import write_atomically
from tuner.statistics.groups import grouped_folds

if TYPE_CHECKING:
    from tuner.dataset.reading.scan import Scan

__all__ = [
    "SELF_CONFIDENCE",
    "Suspects",
    "find_suspects",
    "rank",
    "sentences",
    "suspects_of",
    "write_suspects",
]

SELF_CONFIDENCE, CLEANLAB = "self-confidence", "cleanlab"

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Suspects:
    """All images from the most doubtful label to the surest.

    `order` [m] are places in `paths`, without images that nothing could be said of; `probabilities` [n, classes] are
    out of fold. `flagged` [n] says which labels cleanlab takes for wrong, None where it is not installed.
    """

    paths: tuple[str, ...]
    classes: tuple[str, ...]
    given: Ints
    probabilities: Floats
    order: Ints
    flagged: npt.NDArray[np.bool_] | None
    method: str
    source: str
    seconds: float

    @property
    def likely(self) -> Ints:
        """The likeliest class [n] of each image; 0 for those that nothing could be said of."""
        found: Ints = np.nan_to_num(self.probabilities, nan=-1.0).argmax(1)
        return found

    def row(self, place: int) -> dict[str, Any]:
        """An image as a row of the table."""
        given, likely = int(self.given[place]), int(self.likely[place])
        return {
            "path": self.paths[place],
            "given": self.classes[given],
            "likely": self.classes[likely],
            "probability_of_given": float(self.probabilities[place, given]),
            "probability_of_likely": float(self.probabilities[place, likely]),
        }

    def document(self) -> dict[str, Any]:
        """In numbers, as `--json` prints it."""
        differ = self.likely[self.order] != self.given[self.order]
        return {
            "features": self.source,
            "method": self.method,
            "judged": len(self.order),
            "likely_differs": int(differ.sum()),
            "flagged": None if self.flagged is None else int(self.flagged.sum()),
            "first": [self.row(place) for place in self.order[:20].tolist()],
            "seconds": round(self.seconds, 3),
        }


def find_suspects(
    config: DataConfig, scan: "Scan", groups: Mapping[str, str], reporter: Reporter
) -> Suspects:
    """Rank the images of `scan` by how doubtful their labels are; `groups` is as `read_groups` gives it.

    Raises WeightsUnavailable where there is no pretrained backbone.
    """
    from tuner.dataset.features import told_features, usable_backbone

    backbone = usable_backbone(config, reporter)
    if backbone is None:
        raise WeightsUnavailable(f"--suspects needs the features of a pretrained backbone; {ways_out()}")
    features = told_features(config, scan, backbone, reporter)
    with reporter.starting("labels are compared with the answers of heads that have not seen the image"):
        return suspects_of(scan, groups, features, config.seed)


def suspects_of(scan: "Scan", groups: Mapping[str, str], features: ImageFeatures, seed: int = 0) -> Suspects:
    """What `features` of the images of `scan` say about their labels, whole groups being held out together."""
    import torch

    from tuner.dataset.inspection.out_of_fold import out_of_fold
    from tuner.dataset.splitting import merged_groups

    started = time.perf_counter()
    names = merged_groups(scan.images, groups)
    given = class_numbers([image.label for image in scan.images], scan.classes)
    folds = grouped_folds(given, [names[image.path] for image in scan.images], seed)
    probabilities = out_of_fold(
        torch.from_numpy(features.values),
        torch.from_numpy(given),
        len(scan.classes),
        torch.from_numpy(folds),
        seed,
    ).numpy()
    order, flagged, method = rank(given, probabilities)
    return Suspects(
        paths=tuple(image.path for image in scan.images),
        classes=scan.classes,
        given=given,
        probabilities=probabilities,
        order=order,
        flagged=flagged,
        method=method,
        source=features.source,
        seconds=features.seconds + time.perf_counter() - started,
    )


def rank(
    given: Ints, probabilities: Floats, method: str | None = None
) -> tuple[Ints, npt.NDArray[np.bool_] | None, str]:
    """Places from the most doubtful label to the surest, what cleanlab flags, and the method, best there is by default.

    Self-confidence is the probability of the given label. cleanlab (Northcutt et al. 2021, Confident learning) compares
    with what is usual for each class; those that it takes for wrong come first, by self-confidence. Images without
    probabilities are left out.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(1))
    own, labels = probabilities[judged], given[judged]
    confidence = own[np.arange(len(judged)), labels]
    if method is None:
        method = CLEANLAB if _has_cleanlab() and len(np.unique(labels)) == own.shape[1] else SELF_CONFIDENCE
    if method == SELF_CONFIDENCE:
        return judged[np.argsort(confidence, kind="stable")], None, method
    from cleanlab.filter import find_label_issues

    wrong = find_label_issues(labels, own, n_jobs=1)
    flagged = np.zeros(len(given), bool)
    flagged[judged] = wrong
    return judged[np.lexsort((confidence, ~wrong))], flagged, method


def write_suspects(found: Suspects, path: Path) -> None:
    """Write every judged image, the most doubtful first, with an empty column for a person's marks."""
    text = io.StringIO()
    head = ["rank", "path", "given", "likely", "probability_of_given", "probability_of_likely", LEAVE_OUT]
    writer = csv.DictWriter(text, head)
    writer.writeheader()
    for number, place in enumerate(found.order.tolist(), start=1):
        row = found.row(place)
        rounded = {name: f"{value:.4f}" if isinstance(value, float) else value for name, value in row.items()}
        writer.writerow({"rank": number, **rounded, LEAVE_OUT: ""})
    write_atomically(path, lambda file: file.write_text(text.getvalue(), encoding="utf-8", newline=""))


def sentences(found: Suspects) -> list[str]:
    """What was found, in words."""
    told = found.document()
    judged, differ = told["judged"], told["likely_differs"]
    lines = [
        f"possible label errors, by a probe on {found.source} that has not seen the image: {differ:,} of {judged:,}"
        f" images ({differ / max(judged, 1):.1%}) look more like another class; these are wrong labels or difficult"
        " pictures"
    ]
    if found.flagged is not None:
        lines.append(f"cleanlab considers {told['flagged']:,} labels wrong")
    if left := len(found.paths) - judged:
        lines.append(f"{left:,} images can't be judged, since their class has a single group")
    return lines


def _has_cleanlab() -> bool:
    import importlib.util

    return importlib.util.find_spec("cleanlab") is not None
