"""Whether a class was photographed otherwise than the others: a probe that sees how pictures were taken.

Size, brightness, the background at the border, JPEG quality and camera (`trainables.data.nuisance`) go into a boosted
forest; folds keep groups whole. Where that predicts the class, a network can learn it instead of the object, and its
test score would not show it. Noyan 2022 (Uncovering bias in the PlantVillage dataset) tells its 38 classes with
49 % accuracy from eight pixels of the background.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tuner.tracking.reporter import Reporter
from tuner.tuning.group_statistics import grouped_folds

if TYPE_CHECKING:
    from trainables.data.scan import Scan

__all__ = ["LARGE", "Photographed", "photographed"]

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
    scan: "Scan", names: Mapping[str, str], seed: int = 0, reporter: Reporter | None = None
) -> tuple[Photographed, ...]:
    """Every class that could be judged; `names` is the group of every image of `scan` by path.

    Of more than `MOST` images a random choice is looked at. Empty where a class has too few groups to be held out.
    """
    from trainables.data.nuisance import columns, look_at

    chosen = np.sort(np.random.default_rng(seed).permutation(len(scan.images))[:MOST])
    images = [scan.images[place] for place in chosen.tolist()]
    given = np.array([scan.classes.index(image.label) for image in images], dtype=np.int64)
    groups = [names[image.path] for image in images]
    folds = grouped_folds(given, groups, seed)
    if not _can_be_judged(given, folds):
        return ()
    with (reporter or Reporter()).progress("looking at how pictures were taken") as progress:
        looks = look_at(scan.folder, [image.path for image in images], progress=progress, scale=scan.scale)
    kinds = columns(looks)
    whole = _out_of_fold(np.hstack(list(kinds.values())), given, folds, len(scan.classes), seed)
    alone = {
        kind: _out_of_fold(values, given, folds, len(scan.classes), seed)
        for kind, values in kinds.items()
        if len(np.unique(values, axis=0)) > 1
    }
    found = []
    for code, label in enumerate(scan.classes):
        mine = given == code
        if not (mine & (folds >= 0)).any():
            continue
        area = _auc(mine, whole[:, code])
        own, others = (
            len({group for group, ours in zip(groups, side, strict=True) if ours}) for side in (mine, ~mine)
        )
        found.append(
            Photographed(
                label,
                area,
                area - 1.96 * auc_error(area, own, others),
                {kind: _auc(mine, alone[kind][:, code]) if kind in alone else 0.5 for kind in kinds},
            )
        )
    return tuple(found)


def auc_error(area: float, positive: int, negative: int) -> float:
    """The standard error of an area under the curve (Hanley and McNeil 1982) from so many of either side.

    >>> round(auc_error(0.9, 50, 50), 3)
    0.032
    """
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positive - 1) * (first - area**2) + (negative - 1) * (second - area**2)
    return float(np.sqrt(max(spread, 0.0) / (positive * negative)))


def _can_be_judged(given: Ints, folds: Ints) -> bool:
    """Whether every fold leaves two classes to train on."""
    held = np.unique(folds[folds >= 0])
    return len(held) > 1 and all(len(np.unique(given[folds != fold])) > 1 for fold in held)


def _out_of_fold(values: Floats, given: Ints, folds: Ints, classes: int, seed: int) -> Floats:
    """Scores [n, classes] of each image by a forest on the other folds; NaN where it is never held out."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    found = np.full((len(given), classes), np.nan)
    for fold in np.unique(folds[folds >= 0]):
        out = folds == fold
        model = HistGradientBoostingClassifier(max_iter=60, class_weight="balanced", random_state=seed)
        model.fit(values[~out], given[~out])
        found[out] = 0.0
        found[np.ix_(np.flatnonzero(out), model.classes_)] = model.predict_proba(values[out])
    return found


def _auc(mine: npt.NDArray[np.bool_], scores: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    judged = np.isfinite(scores)
    if len(np.unique(mine[judged])) < 2:
        return 0.5
    return float(roc_auc_score(mine[judged], scores[judged]))


def kinds_in_words(kinds: Sequence[tuple[str, float]]) -> str:
    """Kinds of nuisance with their areas."""
    return ", ".join(f"{kind} {area:.2f}" for kind, area in kinds)
