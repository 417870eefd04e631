"""Groups that judge are counted, and a split is advised only after it was made."""

import pandas as pd
import pytest

from trainables.errors import DataProblem
from tuner.dataset.judges import count_judges


def split(test, others=20):
    """So many groups in the test part, two images each."""
    groups = [f"t{number}" for number in range(test)] + [f"r{number}" for number in range(others)]
    parts = ["test"] * test + ["train"] * others
    return pd.DataFrame({"group": groups * 2, "split": parts * 2})


def test_enough_judges_need_no_other_split():
    found = count_judges(split(8), 4, lambda shares: pytest.fail("asked for another"))
    assert (found.groups, found.needed, found.every, found.enough, found.advised) == (8, 8, 28, True, None)


def test_the_first_split_with_enough_groups_is_advised_with_their_number():
    counts = {0.15: 5, 0.2: 9}
    found = count_judges(split(3), 4, lambda shares: split(counts[shares[2]]))
    assert not found.enough
    assert found.advised == ((0.6, 0.2, 0.2), 9)


def test_a_split_that_can_not_be_made_or_has_too_few_groups_still_is_not_advised():
    def make(shares):
        if shares[2] == 0.2:
            raise DataProblem("no split")
        return split(7)

    assert count_judges(split(3), 4, make).advised is None
