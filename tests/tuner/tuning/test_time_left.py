"""What trials may still take: running ones beside the model that is shipped, new ones beside the folds as well."""

import time
from types import SimpleNamespace

import pytest

from tuner.console.reporter import Reporter
from tuner.tuning import time_left
from tuner.tuning.budget import ENDING_S, FINAL_SHARE, FOLDS_SHARE, HEADS_S, MARGIN, RAY_S, SHIPPING_S, Budget
from tuner.tuning.prior import PROBE
from tuner.tuning.time_left import TimeLeft, epoch_seconds_of, is_too_short


class Store:
    """A store with as many ended trials as it is told."""

    run = None

    def __init__(self):
        self.ended, self.standings, self.source = 0, self, "first"

    def scored(self):
        return range(self.ended)

    def best_first(self):
        return [{"source": self.source}] * self.ended


class Session:
    @staticmethod
    def slots():
        return 2


@pytest.fixture
def left(monkeypatch):
    """A function of (budget, seconds of a whole trial, share begun); on all images a training takes twice as long."""
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time_left, "on_all_images", lambda run: 2.0)
    monkeypatch.setattr(time_left, "folds_seconds", lambda rows, folds, slots: (10.0 * len(rows),) * 2)
    monkeypatch.setattr(time_left, "final_seconds", lambda rows, run: 40.0 * len(rows))
    return lambda budget, whole=0.0, begun=0.0: TimeLeft(budget, Store(), 5, Session, lambda: whole, begun)


def test_without_a_limit_nothing_is_kept_back(left):
    found = left(Budget.of(None, networks=1), 10.0)
    assert found.to_go_on() == float("inf")
    assert found.for_folds() == 0.0


def test_before_a_trial_has_ended_the_plan_says_how_long_the_model_trains(left):
    budget = Budget.of(200.0 + SHIPPING_S, networks=1)
    assert left(budget, 15.0).to_go_on() == pytest.approx(200 - MARGIN * 30)
    # A plan that is longer than what a model may take at most is cut, not given up.
    assert left(budget, 900.0).to_go_on() == pytest.approx(200 - MARGIN * FINAL_SHARE * 200)
    assert left(Budget.of(200.0), 15.0).to_go_on() == pytest.approx(Budget.of(200.0).left())


def test_a_whole_schedule_comes_before_training_on_all_images_where_both_do_not_fit(left):
    # On all images it takes twice as long: 50 and 100 seconds fit into 200, 60 and 120 (and the margin) do not.
    budget = Budget.of(200.0 + SHIPPING_S, networks=1)
    assert left(budget, 50.0).to_go_on() == pytest.approx(200 - MARGIN * 100)
    assert left(budget, 61.0).to_go_on() == pytest.approx(200 - HEADS_S)
    assert left(budget, 199.0).to_go_on() == pytest.approx(200 - HEADS_S)


def test_a_resumed_schedule_is_ended_where_what_is_left_of_it_fits_into_the_time(left):
    # Whole it takes 400 seconds, 800 on all images; 200 are there.
    budget = Budget.of(200.0 + SHIPPING_S, networks=1)
    assert left(budget, 400.0, 0.6).to_go_on() == pytest.approx(200 - HEADS_S)
    assert left(budget, 400.0, 0.4).to_go_on() == pytest.approx(200 - MARGIN * FINAL_SHARE * 200)
    # Of 50 seconds ten are left, and 100 on all images fit beside them.
    assert left(budget, 50.0, 0.8).to_go_on() == pytest.approx(200 - MARGIN * 100)


def test_a_run_ships_what_it_has_trained_if_it_writes_a_model(left):
    found = left(Budget.of(200.0 + SHIPPING_S, networks=1), 15.0)
    assert not found.ships()
    found.store.ended, found.store.source = 1, PROBE
    assert not found.ships()
    found.store.ended, found.store.source = 2, "first"
    assert found.ships()
    searched = left(Budget.of(200.0), 15.0)
    searched.store.ended = 1
    assert not searched.ships()


def test_an_epoch_takes_a_trial_of_more_cores_less_time_and_one_on_a_gpu_as_long_as_was_timed():
    def epoch(cores, gpus):
        row = {"model": "net", "image_size": 32, "milliseconds": 5.0, "step_milliseconds": 9.0}
        run = SimpleNamespace(
            record={"hardware": {"gpus": gpus}, "settings": {"cpus_per_trial": cores}},
            probe=lambda: {"image_size": 32, "backbones": [row, {**row, "image_size": 64, "model": "other"}]},
            images_and_parts=lambda: SimpleNamespace(count=lambda part: 1000),
        )
        return epoch_seconds_of(run)

    assert epoch(None, []) == {"net": 9.0}
    assert epoch(2.0, []) == {"net": 5.0}
    assert epoch(2.0, ["a GPU"]) == {"net": 9.0}


def test_trials_that_ended_say_it_then_and_folds_keep_other_trials_from_beginning(left):
    found = left(Budget.of(200.0 + SHIPPING_S, networks=1), 15.0)
    found.store.ended = 1
    assert found.to_go_on() == pytest.approx(200 - MARGIN * 40)
    assert found.for_folds() == 10.0
    found.store.ended = 2
    assert found.to_go_on() == pytest.approx(200 - MARGIN * 80)
    assert found.for_folds() == 20.0
    found.store.ended = 9
    assert found.for_folds() <= FOLDS_SHARE * 200


def test_a_trial_of_three_epochs_is_begun_only_if_the_model_that_is_shipped_can_train_as_long(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time_left, "on_all_images", lambda run: 2.0)
    monkeypatch.setattr(time_left, "epoch_seconds_of", lambda run: {"net": 5.0, "best head": 50.0})
    prepared = SimpleNamespace(
        run=None, allowed={"model": ("net", "best head")}, first_models=(SimpleNamespace(model="best head"),)
    )
    one, all_of_it = RAY_S + 3 * 5, RAY_S + 3 * 5 * (1 + 2 * MARGIN)
    searched, shipped = ENDING_S, SHIPPING_S

    def short(seconds, networks):
        return is_too_short(prepared, Budget.of(seconds, networks=networks), Reporter())

    assert short(searched + one - 0.1, 0)
    assert not short(searched + one + 0.1, 0)
    assert short(shipped + all_of_it - 0.1, 1)
    assert not short(shipped + all_of_it + 0.1, 1)
    assert not short(None, 1)
    prepared.allowed = {}
    assert short(searched + RAY_S + 3 * 50 - 0.1, 0)
    assert not short(searched + RAY_S + 3 * 50 + 0.1, 0)
    prepared.first_models = ()
    assert not short(shipped + 1, 1)
