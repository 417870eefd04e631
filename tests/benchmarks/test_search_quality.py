import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import search_spaces
from benchmarks.search import search_quality
from benchmarks.search.recorded_curves import made, read
from benchmarks.search.recorded_space import restricted_to
from benchmarks.search.replay_clock import OVERRIDES, Problem, Trace, replay
from benchmarks.search.replay_curves import (
    Curve,
    Nearest,
    Surrogate,
    as_recorded,
    check,
    full_epochs,
    noise_of,
    seconds_of,
)
from benchmarks.search.replay_designs import DESIGNS, LEVEL, OLDER, SHIPPED, VariantRungs
from benchmarks.search.replay_floor import goals
from benchmarks.search.replay_searchers import quiet
from search_spaces.sampling import sample_configs
from trainables.config import TrialConfig
from tuner.tuning.scheduler import Rungs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "search"
SPACE = search_spaces.load(str(BENCHMARKS / "recorded_space.py"))
ALLOWED = restricted_to("googlenet")
PROBLEM = Problem(SPACE, ALLOWED)
CONFIG = TrialConfig.resolve({"model": "googlenet", "strategy": "full", "max_epochs": 10})

TRIAL, EPOCH, SPLIT = 0.2, 0.05, 0.1
"""Standard deviations of the noise that the made file has."""


@pytest.fixture(scope="module", autouse=True)
def quickly_learned():
    """Length scales from few curves in few steps: what they are does not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.search.curve_process.LEARNED_FROM", 28)
        patch.setattr("benchmarks.search.curve_process.STEPS", 35)
        patch.setattr("benchmarks.search.replay_floor.POOL", 200)
        patch.setattr("benchmarks.search.replay_floor.ROUNDS", 3)
        yield


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


def curve(*values, seconds=1.0):
    full = tuple(range(1, len(values) + 1))
    return Curve(values, full, tuple(value + 0.01 for value in values), (seconds,) * len(values))


def sampled(count):
    return list(sample_configs(SPACE, OVERRIDES, ALLOWED, count))


def write(path, rows, **metadata):
    table = pa.Table.from_pandas(pd.DataFrame(rows).convert_dtypes(), preserve_index=False)
    if metadata:
        table = table.replace_schema_metadata({"made": json.dumps(metadata)})
    pq.write_table(table, path)
    return path


def truth(config, epoch):
    return (0.2 + abs(np.log10(config.learning_rate) + 3)) / epoch**0.5


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A file of forty configurations whose loss depends on the head's learning rate and falls with the epochs."""
    rows = [
        {"configuration": number, "epoch": epoch, "val_loss": truth(config, epoch), **vars(config)}
        for number, config in enumerate(sampled(40))
        for epoch in range(1, 11)
    ]
    return write(tmp_path_factory.mktemp("curves") / "curves.parquet", rows, by="this test")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Four hundred configurations under two seeds with noise of known size, test losses and seconds."""
    random = np.random.default_rng(0)
    rows = []
    for number, config in enumerate(sampled(400)):
        bias, other = random.normal(0, SPLIT, 2)
        for seed in range(2):
            luck = random.normal(0, TRIAL)
            for epoch in range(1, 11):
                scatter, test_scatter = random.normal(0, EPOCH, 2)
                rows.append(
                    {
                        "configuration": number,
                        "epoch": epoch,
                        "val_loss": truth(config, 5) * np.exp(luck + bias + scatter),
                        "test_loss": truth(config, 5) * np.exp(luck + other + test_scatter),
                        "epoch_seconds": 0.25 if config.strategy == "feature_extractor" else 4.0,
                        **vars(config),
                        "seed": seed * 1000 + number,
                    }
                )
    return write(tmp_path_factory.mktemp("noisy") / "curves.parquet", rows)


@pytest.fixture(scope="module")
def noisy_items(noisy):
    return read(noisy)


@pytest.fixture(scope="module")
def learned(recorded):
    quiet()
    return Surrogate(read(recorded))


def test_the_file_is_read_back_with_its_making(recorded):
    items = read(recorded)
    configs = sampled(40)
    assert [item.config for item in items] == configs
    assert items[3].values[0] == pytest.approx([truth(configs[3], epoch) for epoch in range(1, 11)])
    assert (items[3].tests, items[3].expected, items[3].seconds) == (None, None, None)
    assert made(recorded) == {"by": "this test"}


def test_the_first_recorded_file_stays_readable_and_says_how_it_was_made():
    path = BENCHMARKS / "curves.parquet"
    items = read(path)
    assert len(items) >= 100
    assert {item.values.shape for item in items} == {(1, 10)}
    assert [item.config.strategy for item in items[:9]] == [config.strategy for config in sampled(9)]
    assert made(path).keys() >= {"by", "space", "image_size", "pretraining", "data"}
    found = seconds_of(items)
    assert found.full > 5 * found.cached > 0


def test_several_seeds_of_a_configuration_are_curves_of_one(noisy_items):
    assert len(noisy_items) == 400
    assert {item.values.shape for item in noisy_items} == {(2, 10)}
    assert {item.tests.shape for item in noisy_items} == {(2, 10)}


def test_the_noise_of_a_file_is_measured_from_its_repeats_and_its_test_losses(noisy_items):
    found = noise_of(noisy_items)
    assert found.epoch == pytest.approx(EPOCH, rel=0.1)
    assert found.trial == pytest.approx(TRIAL, rel=0.1)
    assert found.split == pytest.approx(SPLIT, rel=0.1)


def test_what_a_file_does_not_show_is_not_known(recorded):
    found = noise_of(read(recorded))
    assert (found.trial, found.split) == (None, None)


def test_an_epoch_costs_what_it_trains(noisy_items):
    seconds = seconds_of(noisy_items)
    late = TrialConfig.resolve(
        {"model": "googlenet", "strategy": "gradual_unfreeze", "unfreeze_at": 3, "max_epochs": 6}
    )
    assert seconds.of(late) == (0.25, 0.25, 0.25, 4.0, 4.0, 4.0)


def test_losses_without_noise_are_taken_as_they_are(tmp_path):
    rows = [
        {
            "configuration": number,
            "epoch": epoch,
            "val_loss": 9.0 if epoch == 7 else truth(config, epoch) * 1.5,
            "expected": truth(config, epoch),
            **vars(config),
        }
        for number, config in enumerate(sampled(30))
        for epoch in range(1, 11)
    ]
    items = read(write(tmp_path / "curves.parquet", rows))
    curves = Surrogate(items)
    for item in items[::6]:
        wanted = [truth(item.config, epoch) for epoch in range(1, 11)]
        assert item.known[0] == pytest.approx(wanted)
        assert curves.expected(item.config) == pytest.approx(wanted, rel=0.15)
        assert as_recorded(item, seconds_of(items)).expected == pytest.approx(wanted)


def test_full_epochs_count_from_the_last_unfreeze():
    late = TrialConfig.resolve(
        {"model": "googlenet", "strategy": "gradual_unfreeze", "unfreeze_at": 3, "max_epochs": 6}
    )
    assert full_epochs(late) == (0, 0, 0, 1, 2, 3)


def test_the_surrogate_knows_more_of_unseen_configurations_than_the_nearest_neighbour(recorded):
    found = check(read(recorded), folds=4)
    assert found["explained by the process"] > 0.6 > found["explained by the nearest neighbour"]


def test_noise_is_not_taken_for_a_property_of_the_configuration(noisy_items, monkeypatch):
    """What the process says of recorded configurations is nearer to the truth than their own curves are."""
    monkeypatch.setattr("benchmarks.search.curve_process.LEARNED_FROM", 45)
    monkeypatch.setattr("benchmarks.search.curve_process.STEPS", 60)
    items = noisy_items[:60]
    curves = Surrogate(items)
    wanted = np.log([truth(item.config, 5) for item in items])
    learned = np.log([curves.expected(item.config).mean() for item in items])
    seen = np.log([item.values.mean() for item in items])
    assert np.square(learned - wanted).mean() < 0.6 * np.square(seen - wanted).mean()


def test_one_trial_has_one_curve_and_another_of_the_same_configuration_other_luck(noisy_items):
    items = noisy_items[:40]
    curves, again = Surrogate(items), Surrogate(items)
    config = items[5].config
    other_seed = TrialConfig(**{**vars(config), "seed": 99})
    assert curves.curve(config, 3) == again.curve(other_seed, 3)
    one, two = curves.curve(config, 3), curves.curve(config, 4)
    assert one.expected == two.expected
    assert one.values != two.values


def test_luck_and_scatter_have_the_size_that_was_measured(noisy_items):
    curves = Surrogate(noisy_items[:40])
    config = CONFIG
    drawn = np.log([curves.curve(config, trial).values for trial in range(800)]) - np.log(
        curves.expected(config)
    )
    assert drawn.mean(1).std() == pytest.approx(curves.noise.trial, rel=0.1)
    assert (drawn - drawn.mean(1, keepdims=True)).std() == pytest.approx(curves.noise.epoch, rel=0.15)
    assert abs(drawn.mean()) < 4 * curves.noise.split


def test_the_nearest_curve_is_of_the_same_strategy(recorded):
    items = read(recorded)
    nearest, seconds = Nearest(items), seconds_of(items)
    for item in items:
        assert nearest.curve(item.config) == as_recorded(item, seconds)


def test_the_floor_lies_below_random_configurations_and_depends_on_the_curves_alone(recorded, learned):
    lowest, few = goals(learned, SPACE, OVERRIDES, ALLOWED)
    assert lowest < few
    assert lowest < min(learned.expected(config).min() for config in sampled(200))
    assert goals(Surrogate(read(recorded)), SPACE, OVERRIDES, ALLOWED) == (lowest, few)


def test_a_replay_spends_its_seconds_and_judges_the_chosen_by_its_expected_loss():
    searcher = Fixed(limit=0.5)
    trace = replay(searcher, lambda config, number: curve(0.9, 0.8, 0.6, 0.1), seconds=12, workers=1)
    assert 10 <= trace.epochs <= 13
    assert searcher.ended[:3] == [(number, 0.6, True) for number in range(3)]
    assert trace.value_at(1.5) == pytest.approx(0.91)
    assert trace.value_at(12) == pytest.approx(0.61)


def test_cheap_epochs_leave_time_for_more():
    epochs = [
        replay(Fixed(9.0), lambda config, number, each=each: curve(0.9, 0.8, seconds=each), 40).epochs
        for each in (1.0, 0.5)
    ]
    assert epochs[1] == pytest.approx(2 * epochs[0], rel=0.15)


def test_a_forced_trial_ends_the_replay_with_its_fate():
    poor, good = curve(0.9, 0.8, 0.6, 0.1), curve(0.9, 0.4, 0.3, 0.1)
    for chosen, survives in ((poor, False), (good, True)):
        trace = replay(Fixed(limit=0.5), lambda config, number: poor, 100, workers=1, forced={2: chosen})
        assert (trace.forced_finished, trace.trials) == (survives, 3)


def test_a_goal_is_reached_when_the_best_trial_stays_below_it():
    trace = Trace(found=[(1, 0.5), (4, 0.2), (6, 0.3), (9, 0.1)])
    assert trace.seconds_to(0.25) == 9
    assert trace.seconds_to(0.3) == 4
    assert trace.seconds_to(0.05) is None


def test_rungs_without_changes_are_tuners_own_counted_in_epochs():
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


@pytest.mark.parametrize("name", [*SHIPPED, *LEVEL, *DESIGNS, *OLDER])
def test_every_search_can_be_replayed(name, learned):
    searcher = {**SHIPPED, **LEVEL, **DESIGNS, **OLDER}[name](PROBLEM, 1)
    trace = replay(searcher, learned.curve, 50, seed=1)
    assert 45 <= trace.seconds <= 50
    assert trace.value_at(50) <= trace.value_at(10) + 0.2
    if "nobody stopped" not in name:
        assert trace.trials > 10


def test_the_tables_give_ratios_to_rays_searches(recorded, capsys):
    case = search_quality.ready(recorded)
    names = ["tuner, level", "Ray ASHA + random, level", "Ray ASHA + OptunaSearch, level"]
    outcome = search_quality.replay_all(case, names, Namespace(seeds=2, survivals=2, workers=1))
    search_quality.report("title", names, 2, outcome, case)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    cells = [cell.strip() for cell in lines[3].split("|")]
    assert cells[1] == names[1]
    assert cells[6] == "1.00 [1.00, 1.00]"
