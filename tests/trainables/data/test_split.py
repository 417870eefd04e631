import numpy as np
import pandas as pd
import pytest

from trainables.data.split import Split, class_numbers
from trainables.errors import DataProblem

TABLE = pd.DataFrame(
    {
        "path": ["a.png", "b.png", "c.png", "d.png"],
        "label": ["oak", "ash", 3, "oak"],
        "group": [1, 1, 2, 3],
        "split": ["train", "train", "val", "test"],
    }
)
SPLIT = Split.of(TABLE, ["3", "ash", "oak"])


def test_labels_become_places_among_the_classes_whatever_their_type():
    assert SPLIT.numbers.tolist() == [2, 1, 0, 2]
    assert SPLIT.labels == ("oak", "ash", "3", "oak")


def test_a_part_keeps_the_order_and_the_classes():
    part = SPLIT.part("train", "test")
    assert part.paths == ("a.png", "b.png", "d.png")
    assert part.groups == ("1", "1", "3")
    assert part.classes == SPLIT.classes
    assert len(part) == 3
    assert part.numbers.tolist() == [2, 1, 2]


def test_counts_and_groups_are_those_of_the_table():
    assert [SPLIT.count(name) for name in ("train", "val", "test")] == [2, 1, 1]
    assert SPLIT.grouped
    assert not SPLIT.part("val", "test").grouped
    assert SPLIT.where(np.array([False, False, True, False])).paths == ("c.png",)


def test_a_label_that_is_no_class_is_named():
    with pytest.raises(DataProblem, match="'elm' is none of the 2 known"):
        class_numbers(["ash", "elm"], ["ash", "oak"])
