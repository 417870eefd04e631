import math
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import write_pictures
from tiny import write_space

from trainables import models, strategies
from trainables.config import TrialConfig
from trainables.errors import UserMistake
from trainables.strategies import Unfreeze
from tuner.cli.app import commands
from tuner.dataset.config import DataConfig
from tuner.dataset.loading import Examined
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import make_split
from tuner.planning.advice import disk_bytes, few_judges, finalists_of, out_of_time, unexplored
from tuner.planning.epoch_clock import CACHED, EpochClock
from tuner.planning.limits import Limits
from tuner.planning.plan import plan
from tuner.planning.simulation import simulate
from tuner.planning.timing import Cost
from tuner.tuning.config import search_config
from tuner.tuning.scheduler import Rungs

FULL = TrialConfig.resolve({"model": "resnet18", "strategy": "full", "max_epochs": 9})
LATE = TrialConfig.resolve(
    {"model": "resnet18", "strategy": "gradual_unfreeze", "max_epochs": 9, "unfreeze_at": 4}
)


def search(configs, rungs=None, concurrent=1, budget=None, seconds=lambda config, epoch: 1.0):
    limits = Limits(total=math.inf if budget is None else budget, slots=concurrent, epoch=1.0)
    return simulate(configs, rungs, seconds, concurrent, limits, np.random.default_rng(0))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    write_pictures(folder / "pictures", {"blue": 24, "green": 24, "red": 20})
    config = search_config(
        space=str(write_space(folder)),
        data=folder / "pictures",
        weights="none",
        image_size=32,
        samples=12,
        max_epochs=6,
        split="0.6,0.2,0.2",
        precision="fp32",
        runs_dir=folder / "runs",
        concurrent=2,
    )
    planned = plan(config)
    assert {path.name for path in folder.iterdir()} == {"pictures", "tiny.py"}
    return planned


def test_a_plan_times_each_combination_and_leaves_no_run_directory(found):
    names = [(row.cost.model, row.cost.strategy) for row in found.combinations]
    assert names == [("mobilenet_v2", "feature_extractor"), ("mobilenet_v2", "full")]
    head, whole = (row.cost for row in found.combinations)
    assert min(head.first_s, whole.full_s, whole.eval_s) > 0
    assert [(row.frozen_epoch_s is None, row.full_epoch_s is None) for row in found.combinations] == [
        (False, True),
        (True, False),
    ]
    assert (head.first_s, whole.first_s) == (head.full_s, whole.full_s)
    assert whole.weights_bytes == 4 * 2_227_715
    assert (whole.trained_bytes, head.trained_bytes) == (whole.weights_bytes, 4 * 3843)
    assert head.memory_bytes > whole.weights_bytes


def test_a_plan_adds_up(found):
    assert found.trials == pytest.approx(sum(row.trials for row in found.combinations)) == 12
    low, middle, high = found.epochs
    assert 12 < low <= middle <= high < found.whole_epochs == 72
    assert found.seconds[0] < found.seconds[1] < found.seconds[2]
    # Two at once take at least half of what all take together.
    assert found.seconds[2] >= sum(row.busy_s for row in found.combinations) / 2
    assert found.disk["kept weights"] <= 12 * 4 * 2_227_715
    assert found.memory_bytes > 2 * max(row.cost.memory_bytes for row in found.combinations)


def test_without_stopping_every_trial_takes_all_its_epochs():
    patient = replace(FULL, patience=0)
    result = search([patient] * 6, concurrent=2)
    assert result.epochs == {("resnet18", "full"): 54}
    assert result.seconds == 27


def test_asha_saves_epochs_and_lets_late_trials_unfreeze():
    patient = [replace(config, patience=0) for config in (FULL, LATE) for _ in range(30)]
    result = search(patient, Rungs("min", 9, 2, 3))
    assert result.stopped > 15
    assert result.epochs["resnet18", "full"] < 30 * 9 * 0.7
    assert result.epochs["resnet18", "gradual_unfreeze"] >= 30 * 6


def test_simulated_trials_are_judged_at_equal_cost():
    frozen = [TrialConfig("resnet18", "feature_extractor", max_epochs=9, patience=0)] * 20
    assert search(frozen, Rungs("min", 9, 2, 3)).stopped == 0
    late = [TrialConfig("resnet18", "gradual_unfreeze", unfreeze_at=4, max_epochs=9, patience=0)] * 40
    found = search(late, Rungs("min", 9, 2, 3))
    assert 0 < found.stopped < 40
    # Six epochs with four of them frozen cost two: nobody ends before.
    assert sum(found.epochs.values()) == 6 * found.stopped + 9 * (40 - found.stopped)


def test_the_time_budget_ends_a_simulated_search():
    patient = replace(FULL, patience=0)
    result = search([patient] * 20, concurrent=2, budget=20.0)
    assert result.seconds == 20
    assert result.trials["resnet18", "full"] == 6


def test_a_model_and_folds_leave_fewer_trials_begin_within_the_same_time():
    patient = [replace(FULL, patience=0)] * 40

    def trials(**kept):
        limits = Limits(total=100.0, slots=2, max_epochs=9, epoch=1.0, **kept)
        found = simulate(patient, None, lambda config, epoch: 1.0, 2, limits, np.random.default_rng(0))
        return found.trials["resnet18", "full"], found.judging_s

    alone, none = trials()
    shipped, _ = trials(networks=3, more=1.5)
    both, judging = trials(networks=3, more=1.5, folds=5)
    assert none == 0
    assert alone > shipped > both >= 2
    # Three trials of nine seconds on four more folds take 54 on two places; a time budget has room for fewer.
    assert 9 <= judging <= 54


def test_without_a_time_budget_the_best_of_four_trials_is_judged_by_the_folds():
    patient = [replace(FULL, patience=0)] * 4
    limits = Limits(slots=1, max_epochs=9, epoch=1.0, folds=5)
    found = simulate(patient, None, lambda config, epoch: 1.0, 1, limits, np.random.default_rng(0))
    assert found.judging_s == 4 * 9


def test_an_epoch_takes_what_the_clock_says():
    slow = search([replace(FULL, patience=0)], seconds=lambda config, epoch: 2.0 if epoch > 4 else 0.5)
    assert slow.seconds == slow.busy_s["resnet18", "full"] == 4 * 0.5 + 5 * 2.0


def test_a_plan_warns_of_what_few_trials_cannot_explore():
    pool = [
        replace(FULL, learning_rate=10.0**-rate, sampler=sampler, schedule="cosine" if rare else "step")
        for rate in range(1, 6)
        for sampler in ("shuffle", "weighted")
        for rare in (True, *[False] * 19)
    ]
    few = "\n".join(unexplored(pool, 20))
    assert "20 trials for 3 hyperparameters" in few
    assert "fewer than 3 trials, on average, will have schedule cosine (1.0): the search" in few
    assert "sampler" not in few
    assert unexplored(pool, 100) == ()


def test_a_plan_warns_of_a_parameter_that_seldom_means_something():
    pool = [FULL] * 8 + [replace(LATE, unfreeze_at=1), LATE]
    assert any("unfreeze_at (2.0)" in one for one in unexplored(pool, 10))
    assert not any("unfreeze_at" in one for one in unexplored(pool, 20))


def test_a_plan_warns_when_the_time_budget_is_too_short():
    assert out_of_time(8.2, 24, 60.0, 360.0) == (
        "the time budget of 6m00s lets about 8 of 24 trials begin (60 epochs)",
    )
    assert out_of_time(24.0, 24, 60.0, 360.0) == out_of_time(5.0, 24, 60.0, None) == ()


def test_a_plan_refuses_what_a_run_would_refuse(tmp_path):
    with pytest.raises(UserMistake, match="googlenet_ful"):
        plan(search_config(space="googlenet_ful", data=tmp_path))


@pytest.fixture
def new_strategies(monkeypatch):
    """Strategies whose names nobody knows: one like feature_extractor, one whose upper stage trains at once."""
    monkeypatch.setitem(
        strategies._ENTRIES, "still", strategies._Entry(lambda c, n: [Unfreeze(None, 0.0)] * n, False)
    )

    def halves(config, num_stages):
        return [Unfreeze(1, 1e-3)] + [Unfreeze(4, 1e-3)] * (num_stages - 1)

    monkeypatch.setitem(strategies._ENTRIES, "halves", strategies._Entry(halves, False))
    return [replace(FULL, strategy=name) for name in ("still", "halves")]


def cost_of(config, first_s, full_s):
    return Cost(config.model, config.strategy, first_s, full_s, 0.5, 400, 100, 512, 1000)


def seconds_of(config, costs, max_epochs=6):
    clock = EpochClock(costs, (10, 4), search_config(space="x", data=None, feature_cache_bytes=10**9))
    return [[clock(config, epoch) for epoch in range(1, max_epochs + 1)] for _ in range(2)]


def test_a_new_strategy_is_timed_by_what_trains_in_which_epoch(new_strategies):
    still, halves = new_strategies
    costs = {
        ("resnet18", "still"): cost_of(still, 1.0, 1.0),
        ("resnet18", "halves"): cost_of(halves, 2.0, 3.0),
    }
    computed, read = seconds_of(still, costs)
    assert computed == [12.0] * 6
    assert read == pytest.approx([12.0 * CACHED] * 6)
    # The upper stage trains from the first epoch: nothing is frozen, so nothing is read from the feature cache.
    assert seconds_of(halves, costs) == [[22.0] * 3 + [32.0] * 3] * 2


def test_stages_that_join_one_by_one_grow_the_seconds_in_proportion():
    staged = replace(LATE, strategy="staged_unfreeze", unfreeze_at=1)
    stages = models.num_stages("resnet18")
    costs = {("resnet18", "staged_unfreeze"): cost_of(staged, 1.0, 1.0 + stages)}
    computed, _ = seconds_of(staged, costs, stages + 2)
    assert computed == pytest.approx([2.0 + 10 * min(1 + k, 1 + stages) for k in range(stages + 2)])


def test_the_feature_cache_s_bytes_follow_from_what_a_strategy_freezes(new_strategies):
    still, halves = new_strategies
    sizes = {"samples": 4, "keep": 1, "concurrent": 1, "images": 14, "image_size": 32, "train_images": 10}
    sizes["feature_cache_limit"] = 10**9
    for config, frozen in ((still, 9), (halves, 0), (FULL, 0), (LATE, 4)):
        costs = {("resnet18", config.strategy): cost_of(config, 1.0, 2.0)}
        assert disk_bytes(costs, [config], **sizes)["frozen features"] == frozen * 10 * 512 * 4


def test_linear_probes_take_one_epoch_whose_features_all_of_them_read():
    probe = replace(FULL, strategy="linear_probe", probe_l2=0.01)
    found = search([probe] * 5, Rungs("min", 9, 2, 3))
    assert (sum(found.epochs.values()), found.stopped) == (5, 0)
    costs = {("resnet18", "linear_probe"): cost_of(probe, 1.0, 1.0)}
    computed, read = seconds_of(replace(probe, augmentation="light"), costs, max_epochs=1)
    assert (computed, read) == ([12.0], pytest.approx([12.0 * CACHED]))


@pytest.mark.parametrize(
    ("fit", "pixels"), [("crop", 37 * 37 * 4 / 3), ("squash", 32 * 32), ("pad", 32 * 32)]
)
def test_the_image_cache_s_bytes_follow_from_how_pictures_become_squares(fit, pixels):
    sizes = {"samples": 4, "keep": 1, "concurrent": 1, "images": 14, "image_size": 32, "train_images": 10}
    costs = {("resnet18", FULL.strategy): cost_of(FULL, 1.0, 2.0)}
    found = disk_bytes(costs, [FULL], **sizes, feature_cache_limit=0, fit=fit)
    assert found["image cache"] == round(14 * 3 * pixels)


def test_the_command_takes_the_options_of_run_and_prints_the_plan(tmp_path):
    write_pictures(tmp_path / "pictures", {"blue": 12, "green": 12, "red": 12})
    space = write_space(tmp_path)
    arguments = ["plan", "--space", str(space), "--data", str(tmp_path / "pictures"), "--weights", "none"]
    more = ["--image-size", "32", "--samples", "4", "--max-epochs", "3", "--strategies", "feature_extractor"]
    # What says where a run is to be and who hears of it changes no plan, and may stay where run stood.
    more += ["--name", "potato", "--no-dashboard", "--out", str(tmp_path / "model")]
    result = CliRunner().invoke(commands, [*arguments, *more], catch_exceptions=False)
    assert result.exit_code == 0
    assert "mobilenet_v2-feature_extractor" in result.output
    assert "mobilenet_v2-full" not in result.output
    for word in ("trials ", "epochs ", "time ", "disk ", "memory ", "simulated"):
        assert word in result.output


def test_a_plan_says_when_the_test_part_can_show_no_difference(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", {"blue": 30, "green": 30})
    data = DataConfig(folder=tmp_path / "pictures")
    looked = scan(data.folder)
    examined = Examined(looked, make_split(looked, None), "none", False, None)
    (said,) = few_judges(examined, data, 5)
    assert said.startswith("6 test images cannot show any difference between finalists, however large")
    assert (
        "With 5 finalists, the chosen one and those that it is compared with, it takes at least 8 test images."
        in said
    )
    assert "--split 0.7,0.15,0.15 gives 10" in said
    assert "tuner compare RUN --folds 5 all 60 images judge" in said
    assert few_judges(examined, data, 2) == ()
    assert few_judges(replace(examined, sample=True), data, 5) == ()


def test_as_many_finalists_are_foreseen_as_there_are_combinations():
    assert finalists_of([FULL] * 9, 9) == 5
    assert finalists_of([FULL] * 9, 1) == 2
    many = [replace(FULL, schedule=schedule) for schedule in ("step", "cosine")] + [LATE] * 4
    assert finalists_of(many, 6) == 5
