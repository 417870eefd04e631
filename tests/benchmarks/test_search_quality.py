import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from replay_curves import Curve, Nearest, Surrogate, check, full_epochs, made, read
from replay_designs import DESIGNS, LEVEL, SHIPPED, VariantRungs
from replay_searchers import OVERRIDES, Trace, quiet, replay

import search_spaces
from search_spaces.sampling import sample_configs
from trainables.config import TrialConfig
from tuner.tuning.scheduler import Rungs

SPACE = str(Path(__file__).parents[2] / "benchmarks" / "recorded_space.py")
CONFIG = TrialConfig.resolve({"model": "googlenet", "strategy": "full", "max_epochs": 10})


class Fixed:
    """Proposes one configuration for ever and stops whoever is above a limit at epoch 3."""

    def __init__(self, limit):
        self.limit, self.ended = limit, []

    def start(self, number):
        return CONFIG

    def report(self, number, epoch, full, value):
        return epoch == 3 and value > self.limit

    def end(self, number, last, stopped):
        self.ended.append((number, last, stopped))


def curve(*values):
    return Curve(values, tuple(range(1, len(values) + 1)), tuple(value + 0.01 for value in values))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A file of forty configurations whose loss depends on the head's learning rate and falls with the epochs."""
    rows = []
    configs = sample_configs(search_spaces.load(SPACE), OVERRIDES, {}, 40)
    for number, config in enumerate(configs):
        off = abs(np.log10(config.learning_rate) + 3)
        for epoch in range(1, 11):
            rows.append(
                {
                    "configuration": number,
                    "epoch": epoch,
                    "val_loss": (0.2 + off) / epoch**0.5,
                    **vars(config),
                }
            )
    path = tmp_path_factory.mktemp("curves") / "curves.parquet"
    table = pa.Table.from_pandas(pd.DataFrame(rows).convert_dtypes(), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"made": json.dumps({"by": "this test"})}), path)
    return path


def test_the_file_is_read_back_with_its_making(recorded):
    items = read(recorded)
    configs = list(sample_configs(search_spaces.load(SPACE), OVERRIDES, {}, 40))
    assert [item.config for item in items] == configs
    assert items[3].curve.full_epochs == full_epochs(configs[3])
    assert made(recorded) == {"by": "this test"}


def test_the_recorded_file_holds_a_hundred_whole_curves_of_the_space_and_says_how_it_was_made():
    items = read()
    assert len(items) >= 100
    assert {len(item.curve.values) for item in items} == {10}
    first = list(sample_configs(search_spaces.load(SPACE), OVERRIDES, {}, 9))
    assert [item.config.strategy for item in items[:9]] == [config.strategy for config in first]
    assert made().keys() >= {"by", "space", "image_size", "pretraining", "data"}


def test_full_epochs_count_from_the_last_unfreeze():
    late = TrialConfig.resolve(
        {"model": "googlenet", "strategy": "gradual_unfreeze", "unfreeze_at": 3, "max_epochs": 6}
    )
    assert full_epochs(late) == (0, 0, 0, 1, 2, 3)


def test_the_surrogate_knows_more_of_unseen_configurations_than_the_nearest_neighbour(recorded):
    found = check(read(recorded), folds=4)
    assert found["explained by the process"] > 0.6 > found["explained by the nearest neighbour"]


def test_one_configuration_has_one_curve_whatever_its_seed(recorded):
    curves = Surrogate(read(recorded))
    again = Surrogate(read(recorded))
    config = read(recorded)[5].config
    other = TrialConfig(**{**vars(config), "seed": 99})
    assert curves.curve(config) == again.curve(other)


def test_the_nearest_curve_is_of_the_same_strategy(recorded):
    items = read(recorded)
    nearest = Nearest(items)
    for item in items:
        assert nearest.curve(item.config) == item.curve


def test_a_replay_spends_its_budget_and_judges_the_chosen_by_its_expected_loss():
    searcher = Fixed(limit=0.5)
    trace = replay(searcher, lambda config: curve(0.9, 0.8, 0.6, 0.1), epochs=12, workers=1)
    assert trace.epochs == 12
    assert searcher.ended == [(number, 0.6, True) for number in range(4)]
    assert trace.value_at(1) == pytest.approx(0.91)
    assert trace.value_at(12) == pytest.approx(0.61)


def test_a_forced_trial_ends_the_replay_with_its_fate():
    poor, good = curve(0.9, 0.8, 0.6, 0.1), curve(0.9, 0.4, 0.3, 0.1)
    for chosen, survives in ((poor, False), (good, True)):
        trace = replay(Fixed(limit=0.5), lambda config: poor, 100, workers=1, forced={2: chosen})
        assert (trace.forced_finished, trace.trials) == (survives, 3)


def test_a_goal_is_reached_when_the_best_trial_stays_below_it():
    trace = Trace(found=[(1, 0.5), (4, 0.2), (6, 0.3), (9, 0.1)])
    assert trace.epochs_to(0.25) == 9
    assert trace.epochs_to(0.3) == 4
    assert trace.epochs_to(0.05) is None


def test_rungs_without_changes_are_tuners_own():
    random = np.random.default_rng(0)
    own, variant = Rungs("min", 10, 2, 3.0), VariantRungs()
    for trial in range(60):
        delay = int(random.integers(0, 5))
        for epoch in range(1, 11):
            value = random.random()
            told = own.enter(str(trial), epoch, max(0, epoch - delay), value)
            assert variant.enter(str(trial), epoch, max(0, epoch - delay), value) == told
            if told is not None:
                break


@pytest.fixture(scope="module")
def learned(recorded):
    quiet()
    return Surrogate(read(recorded))


@pytest.mark.parametrize("name", [*SHIPPED, *LEVEL, *DESIGNS])
def test_every_search_can_be_replayed(name, learned):
    searcher = {**SHIPPED, **LEVEL, **DESIGNS}[name](search_spaces.load(SPACE), 1)
    trace = replay(searcher, learned.curve, 120, seed=1)
    assert trace.epochs == 120
    assert trace.value_at(120) <= trace.value_at(20) + 0.2
    if "nobody stopped" in name:
        assert trace.trials == 14
    else:
        assert trace.trials > 14
