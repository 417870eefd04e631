import enum
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from trainables.config import TrialConfig
from trainables.errors import InvalidValue
from trainables.values import plain, plain_list, plain_mapping


class Word(str, enum.Enum):  # noqa: UP042 -- the old form, whose str() is not its text
    FULL = "full"


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (np.float64(0.5), 0.5), (np.float32(0.25), 0.25), (np.float16(0.5), 0.5), (np.int64(8), 8),
        (np.uint8(8), 8), (np.bool_(True), True), (np.str_("full"), "full"), (np.array(3), 3),
        (np.array("full"), "full"), (torch.tensor(0.5), 0.5), (Decimal("0.25"), 0.25), (Decimal("8"), 8),
        (Fraction(1, 4), 0.25), (Fraction(8), 8), (Word.FULL, "full"), (None, None), (True, True), (2, 2),
    ],
)  # fmt: skip
def test_what_others_write_becomes_plain(given, right):
    found = plain(given, "x")
    assert (found, type(found)) == (right, type(right))


@pytest.mark.parametrize(
    "given", [[1], (1, 2), np.arange(2), {"a": 1}, 1j, b"full", object(), np.datetime64("2020-01-01"), len]
)
def test_what_is_no_single_value_is_refused_by_name_and_type(given):
    with pytest.raises(InvalidValue, match=r"^dropout=.* is of type .*; it must be a number") as caught:
        plain(given, "dropout")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [Decimal("sNaN"), Fraction(10**400, 3), Decimal("Infinity")])
def test_numbers_that_nothing_can_compute_with_are_refused(given):
    with pytest.raises(InvalidValue, match=r"^dropout="):
        TrialConfig.resolve({"model": "resnet18", "strategy": "full", "dropout": given})


def test_lists_and_mappings_become_plain_or_are_refused():
    assert plain_list(np.arange(2), "choices") == [0, 1]
    assert plain_mapping({np.str_("a"): np.int64(1)}, "constants") == {"a": 1}
    for given in ("abc", {1, 2}, 3, {"a": 1}, np.array(3)):
        with pytest.raises(InvalidValue, match="must be a list"):
            plain_list(given, "choices")
    for given in ([1], {3: 4}):
        with pytest.raises(InvalidValue, match="constants"):
            plain_mapping(given, "constants")


def test_a_config_holds_each_value_in_the_type_of_its_field():
    given = {"batch_size": np.float64(8.0), "dropout": np.int64(0), "learning_rate": Decimal("0.5")}
    config = TrialConfig.resolve({"model": np.str_("resnet18"), "strategy": "full", **given})
    assert [type(v) for v in (config.model, config.batch_size, config.dropout)] == [str, int, float]
    assert (config.batch_size, config.dropout, config.learning_rate) == (8, 0.0, 0.5)


@pytest.mark.parametrize(
    ("name", "value"), [("model", 5), ("dropout", 10**400), ("batch_size", 8.5), ("batch_size", True)]
)
def test_a_value_of_another_type_than_its_field_is_refused_in_one_sentence(name, value):
    with pytest.raises(InvalidValue, match=f"^{name}="):
        TrialConfig.resolve({"model": "resnet18", "strategy": "full", name: value})
