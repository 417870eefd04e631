"""Which image trains, which validates, which tests; its class as a number, and its group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.errors import DataProblem

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PARTS", "Split", "class_numbers"]

PARTS = ("train", "val", "test")
"""The parts of a split: trained on, chosen by, and read by the final comparison alone."""


def class_numbers(labels: Sequence[Any], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """The place of each of `labels` [n] in `classes`; raises DataProblem for one that is none of them.

    >>> class_numbers(["oak", "ash", "oak"], ["ash", "oak"]).tolist()
    [1, 0, 1]
    """
    place = {str(name): number for number, name in enumerate(classes)}
    unknown = next((str(label) for label in labels if str(label) not in place), None)
    if unknown is not None:
        raise DataProblem(
            f"class {unknown!r} is none of the {len(place)} known: {', '.join(list(place)[:3])} ..."
        )
    return np.array([place[str(label)] for label in labels], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """The images of a data set in the order of `split.parquet`, an entry each.

    `paths`, `groups` and `parts` (train, val, test) are texts [n], `numbers` int64 [n] are places in `classes`.

    >>> split = Split(("a.png", "b.png"), np.array([0, 1]), ("1", "2"), ("train", "test"), ("ash", "oak"))
    >>> split.part("test").paths, split.part("test").labels
    (('b.png',), ('oak',))
    """

    paths: tuple[str, ...]
    numbers: npt.NDArray[np.int64]
    groups: tuple[str, ...]
    parts: tuple[str, ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, table: "pd.DataFrame", classes: Sequence[str]) -> "Split":
        """The split of a `table` with the columns path, label, group and split; raises DataProblem for other labels."""
        texts = (tuple(map(str, table[name])) for name in ("path", "group", "split"))
        paths, groups, parts = texts
        names = tuple(map(str, classes))
        return cls(paths, class_numbers(table["label"].tolist(), names), groups, parts, names)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def labels(self) -> tuple[str, ...]:
        """The class of each image by name."""
        return tuple(self.classes[number] for number in self.numbers)

    @property
    def grouped(self) -> bool:
        """Whether some group has more than one image."""
        return len(set(self.groups)) < len(self.groups)

    def part(self, *names: str) -> "Split":
        """The images of the parts `names` alone."""
        return self.where(np.isin(np.array(self.parts, dtype=str), names))

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Split":
        """The images of which `chosen` [n] is true."""
        places = np.flatnonzero(chosen)

        def of(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(texts[place] for place in places)

        return Split(of(self.paths), self.numbers[places], of(self.groups), of(self.parts), self.classes)

    def count(self, name: str) -> int:
        """How many images the part `name` has."""
        return self.parts.count(name)
