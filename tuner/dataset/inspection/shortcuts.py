"""Whether a class was photographed otherwise than the others: a probe that sees how pictures were taken.

Size, brightness, the background at the border, JPEG quality and camera (see `nuisance`) go into a linear
discriminant of binned numbers (see `nuisance_probe`); folds keep groups whole. Where that predicts the class,
a network can learn it instead of the object, and its test score would not show it. Noyan 2022 (Uncovering bias in the
PlantVillage dataset) tells its 38 classes with 49 % accuracy from eight pixels of the background.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.data.split import class_numbers
from tuner.console.reporter import Reporter
from tuner.dataset.inspection.nuisance_probe import out_of_fold_area, out_of_fold_scores
from tuner.statistics.auroc import area_error
from tuner.statistics.groups import group_codes, grouped_folds

if TYPE_CHECKING:
    from trainables.data.deep import Scale
    from tuner.dataset.inspection.nuisance import Nuisance
    from tuner.dataset.reading.scan import ImageFile, Scan

__all__ = ["LARGE", "Photographed", "photographed", "photographed_among"]

MOST = 5000
"""Images that are looked at, at most."""

LARGE = 0.8
"""Area under the curve from which on a class is said to be photographed otherwise, if the interval leaves 0.7 out."""

SURELY = 0.7

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Photographed:
    """How well nuisance alone tells a class from the others: area under the ROC curve, out of fold.

    `low` is the lower end of its 95 % interval, each group counted once; `kinds` are the areas of each kind of nuisance
    alone. 0.5 is chance.
    """

    label: str
    auc: float
    low: float
    kinds: Mapping[str, float]

    @property
    def otherwise(self) -> bool:
        """Whether this class was photographed otherwise, as far as can be told."""
        return self.auc >= LARGE and self.low >= SURELY

    @property
    def telling(self) -> list[tuple[str, float]]:
        """The kinds that tell it by themselves, the strongest first."""
        strong = [(kind, auc) for kind, auc in self.kinds.items() if auc >= SURELY]
        return sorted(strong, key=lambda pair: -pair[1])


def photographed(
    scan: "Scan",
    names: Mapping[str, str],
    seed: int = 0,
    reporter: Reporter | None = None,
    seen: "Mapping[str, Nuisance] | None" = None,
) -> tuple[Photographed, ...]:
    """Every class that could be judged; `names` is the group of every image of `scan` by path.

    `seen` says of a random choice of images how they were taken, as `nuisance.Onlooker` notes it during a scan; without
    it at most `MOST` images are opened again. Empty where a class has too few groups to be held out.
    """
    # A scan shows nobody its deep pictures, since their scale is known at its end only.
    again = seen is None or bool(scan.deep)
    images = _chosen(scan, seed) if again else [one for one in scan.images if one.path in (seen or {})]

    def look(paths: Sequence[str]) -> "list[Nuisance]":
        noted = dict(seen or {})
        rest = [path for path in paths if path not in noted]
        noted |= zip(rest, _looks(scan.folder, rest, reporter or Reporter(), scan.scale), strict=True)
        return [noted[path] for path in paths]

    labels = {one.path: one.label for one in images}
    return _judged(scan.classes, labels, names, seed, look)


def photographed_among(
    folder: Path,
    labels: Mapping[str, str],
    names: Mapping[str, str],
    most: int,
    *,
    scale: "Scale | None" = None,
    seed: int = 0,
) -> tuple[Photographed, ...]:
    """The same of at most `most` of the images below `folder` whose class is in `labels` by path, opened now.

    Raises UnreadableImage for one that is gone or can't be read.
    """
    from tuner.dataset.inspection.nuisance import a_choice

    paths = sorted(labels)
    chosen = [paths[place] for place in a_choice(len(paths), most, seed)]
    classes = sorted(set(labels.values()))
    own = {path: labels[path] for path in chosen}
    return _judged(classes, own, names, seed, lambda paths: _looks(folder, paths, Reporter(), scale))


def _chosen(scan: "Scan", seed: int) -> "list[ImageFile]":
    from tuner.dataset.inspection.nuisance import a_choice

    return [scan.images[place] for place in a_choice(len(scan.images), MOST, seed)]


def _looks(folder: Path, paths: Sequence[str], reporter: Reporter, scale: "Scale | None") -> "list[Nuisance]":
    from tuner.dataset.inspection.nuisance import look_at

    if not paths:
        return []
    with reporter.progress("looking at how pictures were taken") as progress:
        return look_at(folder, paths, progress=progress, scale=scale)


def _judged(
    classes: Sequence[str],
    labels: Mapping[str, str],
    names: Mapping[str, str],
    seed: int,
    look: "Callable[[Sequence[str]], Sequence[Nuisance]]",
) -> tuple[Photographed, ...]:
    """The areas of every class of which some images were held out; `look` opens images, if they can judge at all."""
    given = class_numbers(list(labels.values()), classes)
    groups = [names[path] for path in labels]
    folds = grouped_folds(given, groups, seed) if labels else np.empty(0, np.int64)
    if not _can_be_judged(given, folds):
        return ()
    return _areas(classes, look(list(labels)), given, groups, folds)


def _areas(
    classes: Sequence[str], looks: "Sequence[Nuisance]", given: Ints, groups: Sequence[str], folds: Ints
) -> tuple[Photographed, ...]:
    """The areas of every class of which some images were held out."""
    from tuner.dataset.inspection.nuisance import columns

    kinds = columns(looks)
    varied = {kind: values for kind, values in kinds.items() if (values != values[0]).any()}
    whole, alone = out_of_fold_scores(varied, given, folds, len(classes))
    own, others = _groups_of_each(given, groups, len(classes))
    found = []
    for code in np.unique(given[folds >= 0]).tolist():
        mine = given == code
        auc = out_of_fold_area(mine, whole[:, code])
        found.append(
            Photographed(
                classes[code],
                auc,
                auc - 1.96 * area_error(auc, int(own[code]), int(others[code])),
                {
                    kind: out_of_fold_area(mine, alone[kind][:, code]) if kind in alone else 0.5
                    for kind in kinds
                },
            )
        )
    return tuple(found)


def _can_be_judged(given: Ints, folds: Ints) -> bool:
    """Whether every fold leaves two classes to train on."""
    held = np.unique(folds[folds >= 0])
    return len(held) > 1 and all(len(np.unique(given[folds != fold])) > 1 for fold in held)


def _groups_of_each(given: Ints, groups: Sequence[str], classes: int) -> tuple[Ints, Ints]:
    """How many groups hold images of each class [classes], and how many hold images of others [classes]."""
    codes = group_codes(groups)
    held = np.unique(np.stack([codes, given], 1), axis=0)
    pure = np.bincount(held[:, 0])[held[:, 0]] == 1
    own = np.bincount(held[:, 1], minlength=classes)
    return own, codes.max() + 1 - np.bincount(held[pure, 1], minlength=classes)


def kinds_in_words(kinds: Sequence[tuple[str, float]]) -> str:
    """Kinds of nuisance with their areas."""
    return ", ".join(f"{kind} {area:.2f}" for kind, area in kinds)
