"""A trial's images: which rows of the cache it trains on and which it is measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.data.cache import ImageCache
from trainables.data.split import class_numbers


@dataclass(frozen=True)
class TrialData:
    """Training and validation images: rows of `cache`, labels as class indices, in equal order.

    Without validation images (a final training) the validation metrics are NaN, and a plateau schedule
    moves only when it is told to; see `Schedule.reduce`. `val_groups` numbers the groups of the validation images, from
    0 on; without it every image is one of its own.
    """

    cache: ImageCache
    train_rows: np.ndarray
    train_labels: np.ndarray
    val_rows: np.ndarray
    val_labels: np.ndarray
    classes: tuple[str, ...]
    val_groups: np.ndarray | None = None

    @property
    def groups(self) -> np.ndarray:
        """The number of each validation image's group."""
        return np.arange(len(self.val_rows)) if self.val_groups is None else self.val_groups

    @property
    def train_counts(self) -> list[int]:
        """Training images of each class."""
        counts: list[int] = np.bincount(self.train_labels, minlength=len(self.classes)).tolist()
        return counts


def load_trial_data(
    cache: ImageCache,
    split: Sequence[tuple[str, str, str]],
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
) -> TrialData:
    """Training and validation rows of `split`, given as (path, label, part); `groups` are those of its rows."""

    def part(name: str) -> tuple[np.ndarray, np.ndarray]:
        chosen = [(path, label) for path, label, where in split if where == name]
        rows = cache.rows([path for path, _ in chosen])
        return rows, class_numbers([label for _, label in chosen], classes)

    train_rows, train_labels = part("train")
    val_rows, val_labels = part("val")
    codes = None
    if groups is not None:
        own = [group for group, (_, _, where) in zip(groups, split, strict=True) if where == "val"]
        codes = np.unique(np.array(own, dtype=str), return_inverse=True)[1].reshape(-1)
    return TrialData(cache, train_rows, train_labels, val_rows, val_labels, tuple(classes), codes)
