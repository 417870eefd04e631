import math
from pathlib import Path

import numpy as np
import pytest

from trainables.errors import InvalidValue
from trainables.ranges import NUMBERS, check, flag_of, parse
from tuner.dataset.config import DataConfig
from tuner.release.job import RetrainConfig
from tuner.release.retrain import check_config
from tuner.tuning.config import SearchConfig, search_config

OUTSIDE = (math.nan, math.inf, -math.inf, np.float32("nan"), -1, -1e300, 1e300, 10**30, True, "3", 3 + 0j)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", OUTSIDE, ids=repr)
def test_no_range_holds_what_is_no_sensible_number(name, value):
    with pytest.raises(InvalidValue, match=flag_of(name)):
        check(name, value)


@pytest.mark.parametrize("name", NUMBERS)
def test_both_ends_of_a_range_belong_to_it_and_what_lies_beyond_does_not(name):
    span = NUMBERS[name]
    assert (check(name, span.low), check(name, span.high)) == (span.low, span.high)
    with pytest.raises(InvalidValue, match="at least"):
        check(name, span.low - max(1e-6, span.whole))
    with pytest.raises(InvalidValue, match="at most"):
        check(name, span.high + 1)


@pytest.mark.parametrize(("value", "kind"), [(np.int64(3), int), (np.float64(3), int), (3.0, int)])
def test_a_whole_number_of_any_kind_becomes_a_plain_one(value, kind):
    assert type(check("samples", value)) is kind


@pytest.mark.parametrize(("name", "value"), [("samples", 2.5), ("gpus_per_trial", 1.5), ("seed", 0.1)])
def test_a_fraction_is_refused_where_only_whole_numbers_mean_something(name, value):
    with pytest.raises(InvalidValue, match="whole number"):
        check(name, value)


def test_a_share_of_a_gpu_and_none_at_all_are_numbers_of_gpus():
    assert [check("gpus_per_trial", value) for value in (0, 0.25, 1, 2)] == [0.0, 0.25, 1.0, 2.0]


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "-1", "two", "", "0x10", "9" * 5000])
def test_a_text_that_is_no_number_in_range_is_refused(text):
    with pytest.raises(InvalidValue, match="--samples"):
        parse("samples", text)


@pytest.mark.parametrize("value", [math.nan, math.inf, -5, 1e300], ids=repr)
def test_the_functions_refuse_what_the_command_line_refuses(value):
    fields = SearchConfig.__dataclass_fields__.keys() | DataConfig.__dataclass_fields__.keys()
    for name in NUMBERS.keys() & fields:
        with pytest.raises(InvalidValue, match=flag_of(name)):
            search_config(space="all_models", **{name: value})
    for name in NUMBERS.keys() & RetrainConfig.__dataclass_fields__.keys():
        with pytest.raises(InvalidValue, match=flag_of(name)):
            check_config(RetrainConfig(best=Path("best.yaml"), **{name: value}))


def test_numpy_numbers_are_plain_ones_in_a_config():
    config = search_config(
        space="all_models", samples=np.int64(3), seed=np.uint8(7), cpus_per_trial=np.float32(0.5)
    )
    assert [type(value) for value in (config.samples, config.data.seed, config.cpus_per_trial)] == [
        int,
        int,
        float,
    ]
