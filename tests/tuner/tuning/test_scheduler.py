import math
import pickle
import threading
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from trainables import epoch_cost, models, strategies
from trainables.config import TrialConfig
from trainables.image_losses import LOSSES
from tuner.runs.trial_table import BUDGET_OVER, STOPPED_BY_HAND
from tuner.tuning.budget import Budget
from tuner.tuning.scheduler import Costs, FairASHA, Rungs, as_they_came, quantile_of_sorted, rungs_of


def rungs(mode="min", max_epochs=20, grace_period=2, reduction_factor=3):
    return Rungs(mode, max_epochs, grace_period, reduction_factor)


def feed(book, trial_id, values, full_from=1):
    """Enter a whole curve; the epoch at which the trial was stopped, or None."""
    for epoch, value in enumerate(values, start=1):
        if book.enter(trial_id, epoch, max(0, epoch - full_from + 1), value) is not None:
            return epoch
    return None


def config_of(strategy, **own):
    return TrialConfig.resolve({"model": "resnet18", "strategy": strategy, "max_epochs": 20, **own})


CONFIGS = {
    "full": config_of("full"),
    "other": config_of("full", seed=1),
    "frozen": config_of("feature_extractor"),
    "late": config_of("gradual_unfreeze", unfreeze_at=5),
    "staged": config_of("staged_unfreeze", unfreeze_at=1),
    "solved": config_of("probe_then_full"),
}
COSTS = Costs(CONFIGS, cached=True)


def epochs_of(trial_id, values):
    """What a trial of `CONFIGS` reports, as `Rungs.replay` takes it."""
    config = CONFIGS[trial_id]
    last = strategies.last_unfreeze(config, models.num_stages(config.model))
    return [(trial_id, e, max(0, e - last + 1), value) for e, value in enumerate(values, start=1)]


def pay(book, trial_id, values):
    """Enter a curve of a trial of `CONFIGS` at its cost; the epoch in which it was stopped, or None."""
    for name, epoch, full, value in epochs_of(trial_id, values):
        if book.enter(name, epoch, full, value, COSTS(name, epoch)) is not None:
            return epoch
    return None


class FakeTrial:
    def __init__(self, trial_id):
        self.config = {"trial_id": trial_id}


def test_rungs_stand_at_grace_times_powers_below_the_last_epoch():
    assert rungs(max_epochs=20).milestones == (2, 6, 18)
    assert rungs(max_epochs=18).milestones == (2, 6)
    assert Rungs("min", 10, 1, 1.5).milestones == (1, 2, 3, 5, 8)


def test_the_first_at_a_rung_goes_on_and_the_worst_third_of_those_after_stops():
    book = rungs()
    assert feed(book, "a", [1.0, 0.5]) is None
    assert feed(book, "b", [1.0, 0.9]) == 2
    assert feed(book, "c", [1.0, 0.4]) is None


def test_the_cutoff_is_the_quantile_that_ray_uses():
    book = rungs()
    scores = [0.9, 0.8, 0.7, 0.6]
    for number, score in enumerate(scores):
        book.enter(f"t{number}", 2, 2, score)
    cutoff = float(np.percentile([-score for score in scores], (1 - 1 / 3) * 100)) * -1
    assert book.enter("late", 2, 2, 0.95) == pytest.approx(cutoff)


def test_the_quantile_of_sorted_values_is_numpys():
    random = np.random.default_rng(0)
    for count in (1, 2, 3, 10, 101):
        values = np.sort(random.normal(size=count))
        for share in (1 / 3, 1 / 4, 0.5, 0.77):
            assert quantile_of_sorted(values.tolist(), share) == float(np.quantile(values, share))


def test_maximising_turns_the_order_round():
    book = rungs(mode="max")
    assert feed(book, "a", [0.1, 0.9]) is None
    assert feed(book, "b", [0.1, 0.5]) == 2
    assert feed(book, "c", [0.1, 0.95]) is None


def test_a_frozen_trial_is_not_judged_and_leaves_no_score():
    book = rungs()
    assert feed(book, "quick", [0.5, 0.4]) is None
    assert feed(book, "late", [3.0, 3.0, 3.0, 3.0, 0.2, 0.1], full_from=5) is None
    assert book.scores[2] == {"quick": 0.4}
    assert book.scores[6] == {"late": 0.1}


def test_a_trial_that_has_unfrozen_for_the_grace_period_is_judged_like_the_others():
    book = rungs()
    feed(book, "quick", [0.5] * 6)
    assert feed(book, "late", [3.0] * 6, full_from=5) == 6


def test_a_trial_is_judged_by_its_best_epoch_so_far():
    book = rungs()
    feed(book, "a", [0.5, 0.5])
    assert feed(book, "b", [0.4, 9.0]) is None
    assert book.scores[2]["b"] == 0.4


def test_an_epoch_that_only_solves_the_head_leaves_no_score():
    scheduler = FairASHA("val_loss", rungs(grace_period=1), spent=COSTS, first_result=COSTS.first_result)
    first = {"epoch": 1, "full_epochs": 1, "val_loss": 0.5}
    assert scheduler.verdict("full", first) is None
    assert scheduler.verdict("solved", {**first, "full_epochs": 0, "val_loss": 0.1}) is None
    assert scheduler.verdict("solved", {"epoch": 2, "full_epochs": 1, "val_loss": 0.9}).startswith(
        "ASHA, epoch 2"
    )
    assert scheduler.rungs.scores[1] == {"full": 0.5, "solved": 0.9}


def test_a_resumed_search_gives_an_epoch_that_only_solves_the_head_no_score_either():
    past = [("full", 1, 1, 0.5), ("solved", 1, 0, 0.9), ("solved", 2, 1, 0.4)]
    epochs = pd.DataFrame(past, columns=["trial_id", "epoch", "full_epochs", "val_macro_f1"])
    run = SimpleNamespace(losses=lambda trial_id: None)
    prepared = SimpleNamespace(
        context=SimpleNamespace(metric="val_macro_f1"),
        run=run,
        max_epochs=8,
        grace_period=1,
        reduction_factor=2.0,
        space=SimpleNamespace(grid=False),
    )
    found = rungs_of(prepared, epochs.assign(time=range(3)), COSTS)
    assert found.scores[1] == {"full": 0.5, "solved": 0.4}
    assert found.mode == "max"


def test_an_epoch_reported_again_changes_nothing():
    book = rungs()
    feed(book, "a", [1.0, 0.9])
    feed(book, "b", [1.0, 0.1])
    before = {rung: dict(scores) for rung, scores in book.scores.items()}
    assert feed(book, "a", [1.0, 0.9]) is None
    assert book.scores == before


def test_rungs_rebuilt_from_the_record_equal_those_of_the_uninterrupted_search():
    curves = {f"t{number}": [1.0 - 0.01 * number * epoch for epoch in range(7)] for number in range(6)}
    whole, rebuilt = rungs(), rungs()
    for trial_id, curve in curves.items():
        feed(whole, trial_id, curve)
    rebuilt.replay(
        (trial_id, epoch, epoch, value)
        for trial_id, curve in curves.items()
        for epoch, value in enumerate(curve, start=1)
    )
    assert rebuilt.scores == whole.scores
    assert feed(rebuilt, "next", [1.5] * 6) == feed(whole, "next", [1.5] * 6) == 2


def test_a_verdict_that_a_dead_driver_did_not_carry_out_is_made_again():
    book = rungs()
    book.replay([("a", 1, 1, 0.3), ("a", 2, 2, 0.3), ("b", 1, 1, 0.9), ("b", 2, 2, 0.9), ("c", 1, 1, 0.1)])
    assert feed(book, "b", [0.9, 0.9]) == 2
    assert feed(book, "c", [0.1, 0.1]) is None


def test_the_scheduler_stops_at_the_rung_and_says_why():
    scheduler = FairASHA("val_loss", rungs())
    for value in (0.2, 0.9):
        trial = FakeTrial(f"t{value}")
        for epoch in (1, 2):
            result = {"epoch": epoch, "full_epochs": epoch, "val_loss": value}
            decision = scheduler.on_trial_result(None, trial, result)
    assert decision == "STOP"
    assert scheduler.verdicts == {
        "t0.9": "ASHA, epoch 2, at a cost of 2 full epochs: val_loss worse than 0.2"
    }


def test_a_trial_that_is_worse_by_no_more_than_the_noise_of_its_value_goes_on():
    for noise, expected in ((0.0, 0.2), (0.09, 0.2), (0.11, None), (math.inf, None)):
        book = rungs()
        feed(book, "a", [0.2, 0.2])
        book.enter("b", 1, 1, 0.3, noise=noise)
        assert book.enter("b", 2, 2, 0.3, noise=noise) == expected
        # Its score stands on the rung all the same, and a known epoch gets its verdict again.
        assert book.scores[2] == {"a": 0.2, "b": 0.3}
        assert book.enter("b", 2, 2, 0.3) == expected
        again = rungs()
        past = [("a", 1, 1, 0.2), ("a", 2, 2, 0.2), ("b", 1, 1, 0.3), ("b", 2, 2, 0.3)]
        again.replay(past, noise=lambda trial_id, epoch, noise=noise: noise)
        assert again.enter("b", 2, 2, 0.3) == expected


def test_the_scheduler_asks_for_the_noise_of_the_losses_that_a_result_brings():
    scheduler = FairASHA("val_loss", rungs(), noise=lambda losses: float(losses.std()))
    wavering = np.array([0.0, 1.8], dtype=np.float32)
    for trial_id, losses, expected in (
        ("a", np.full(2, 0.2, dtype=np.float32), "CONTINUE"),
        ("b", np.full(2, 0.9, dtype=np.float32), "STOP"),
        ("c", wavering, "CONTINUE"),
    ):
        for epoch in (1, 2):
            result = {"epoch": epoch, "full_epochs": epoch, "val_loss": float(losses.mean()), LOSSES: losses}
            decision = scheduler.on_trial_result(None, FakeTrial(trial_id), result)
        assert decision == expected
    assert pickle.loads(pickle.dumps(scheduler)).noise(None) == 0.0


def test_a_trial_that_ends_by_itself_leaves_its_score():
    scheduler = FairASHA("val_loss", rungs())
    scheduler.on_trial_complete(None, FakeTrial("a"), {"epoch": 2, "full_epochs": 2, "val_loss": 0.3})
    assert scheduler.rungs.scores[2] == {"a": 0.3}


def test_the_time_budget_stops_a_trial_after_its_epoch():
    scheduler = FairASHA("val_loss", None, time_left=lambda: -1.0)
    result = {"epoch": 1, "full_epochs": 1, "val_loss": 0.3}
    assert scheduler.verdict("a", result) == BUDGET_OVER
    assert FairASHA("val_loss", None, time_left=lambda: 60.0).verdict("a", result) is None


def test_a_trial_ends_before_an_epoch_that_would_last_beyond_the_budget():
    scheduler = FairASHA("val_loss", None, time_left=lambda: 60.0)
    long = {"epoch": 2, "full_epochs": 1, "val_loss": 0.3, "epoch_seconds": 70.0}
    short = {"epoch": 1, "full_epochs": 0, "val_loss": 0.3, "epoch_seconds": 1.0}
    assert scheduler.verdict("a", short) is None
    assert scheduler.verdict("a", long) == BUDGET_OVER
    # Its next epoch is as long as its longest, whatever the last one was.
    assert scheduler.verdict("a", {**short, "epoch": 3}) == BUDGET_OVER
    assert scheduler.usual_epoch() == 70.0


def test_a_clock_that_is_set_moves_neither_the_time_budget_nor_the_time_that_is_shown(monkeypatch):
    now = time.monotonic()
    scheduler = FairASHA("val_loss", None, time_left=Budget.of(60.0, now).left)
    over = FairASHA("val_loss", None, time_left=Budget.of(60.0, now - 61).left)
    result = {"epoch": 1, "full_epochs": 1, "val_loss": 0.3}
    for moved in (-7200.0, 7200.0):
        now = time.time() + moved
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert scheduler.verdict("a", result) is None
        assert over.verdict("a", result) == BUDGET_OVER


def test_a_clock_that_was_set_back_costs_no_rung_its_scores_after_a_restart():
    rows = [("full", 1, 1, 900.0), ("full", 2, 2, 300.0), ("full", 3, 3, 310.0), ("other", 1, 1, 950.0)]
    epochs = pd.DataFrame(rows, columns=["trial_id", "epoch", "full_epochs", "time"])
    ordered = as_they_came(epochs)
    assert list(zip(ordered["trial_id"], ordered["epoch"], strict=True)) == [
        ("full", 1),
        ("full", 2),
        ("full", 3),
        ("other", 1),
    ]


def test_a_file_stops_the_trial_that_it_names(tmp_path):
    scheduler = FairASHA("val_loss", None, stop_folder=tmp_path)
    (tmp_path / "a").touch()
    result = {"epoch": 1, "full_epochs": 1, "val_loss": 0.3}
    assert scheduler.verdict("a", result) == STOPPED_BY_HAND
    assert scheduler.verdict("b", result) is None


def test_trials_are_judged_at_equal_cost_whatever_the_epoch():
    book = rungs()
    pay(book, "full", [0.5, 0.4])
    assert pay(book, "late", [3.0] * 6 + [0.9, 0.1]) == 7
    assert book.scores[2] == {"full": 0.4, "late": 0.9}


def test_a_frozen_trial_is_never_judged():
    book = rungs()
    pay(book, "full", [0.1] * 19)
    assert pay(book, "frozen", [3.0] * 20) is None
    assert all("frozen" not in scores for scores in book.scores.values())


def test_a_late_winner_is_not_judged_before_it_has_trained_whole_for_the_grace_period():
    book = rungs()
    pay(book, "full", [0.5] * 19)
    assert pay(book, "late", [3.0] * 6 + [0.2] * 13) is None
    assert pay(book, "staged", [3.0] * 20) > CONFIGS["staged"].unfreeze_at * models.num_stages("resnet18")


def test_a_rung_that_is_paid_for_while_something_is_frozen_stays_unused():
    book = rungs()
    pay(book, "full", [0.5] * 6)
    stages = models.num_stages("resnet18")
    paid = [epoch for epoch in range(1, 20) if epoch_cost.spent(CONFIGS["staged"], epoch) >= 2]
    assert paid[0] <= stages
    assert pay(book, "staged", [0.1] * 20) is None
    assert [rung for rung, scores in book.scores.items() if "staged" in scores] == [6]


def test_rungs_replayed_at_their_cost_give_the_same_verdicts_whatever_was_told_twice():
    curves = {"full": [0.5] * 4, "late": [3.0] * 5 + [0.9], "frozen": [1.0] * 3}
    whole, rebuilt = rungs(), rungs()
    for name, curve in curves.items():
        pay(whole, name, curve)
    told = [epoch for name, curve in curves.items() for epoch in epochs_of(name, curve)]
    twice = [*told, *reversed(told), *told]
    rebuilt.replay(twice, COSTS)
    assert rebuilt.scores == whole.scores
    for name, curve in (("late", [3.0] * 5 + [0.9, 0.9]), ("other", [0.6, 0.6])):
        assert pay(rebuilt, name, curve) == pay(whole, name, curve)


def test_a_verdict_at_a_cost_is_made_again_for_the_latest_epoch():
    book = rungs()
    pay(book, "full", [0.1, 0.1])
    assert pay(book, "late", [3.0] * 7) == 7
    assert pay(book, "late", [3.0] * 7) == 7


def test_the_scheduler_says_at_which_cost_it_stopped_a_trial():
    scheduler = FairASHA("val_loss", rungs(), spent=COSTS)
    for name, values in (("full", [0.1, 0.1]), ("late", [3.0] * 7)):
        for trial_id, epoch, full, value in epochs_of(name, values):
            said = scheduler.verdict(trial_id, {"epoch": epoch, "full_epochs": full, "val_loss": value})
    assert said == "ASHA, epoch 7, at a cost of 2 full epochs: val_loss worse than 0.1"


def test_before_all_has_trained_the_next_epoch_is_as_long_as_the_probe_expects():
    first = {"epoch": 1, "full_epochs": 0, "val_loss": 0.3, "epoch_seconds": 1.0}
    scheduler = FairASHA("val_loss", None, lambda: 60.0, epoch_seconds={"a": 70.0, "b": 50.0}.get)
    assert scheduler.verdict("a", first) == BUDGET_OVER
    assert scheduler.verdict("b", first) is None
    assert scheduler.verdict("a", {**first, "epoch": 2, "full_epochs": 1, "epoch_seconds": 40.0}) is None


def test_ray_s_snapshot_of_the_scheduler_lacks_what_asks_the_driver():
    lock = threading.Lock()

    def left():
        with lock:
            return 60.0

    again = pickle.loads(pickle.dumps(FairASHA("val_loss", None, time_left=left)))
    assert again.left() == math.inf


class Waiting:
    """A trial as Ray's scheduler sees it."""

    def __init__(self, status):
        self.status = status

    def is_finished(self):
        return self.status in ("TERMINATED", "ERROR")


def test_the_first_trial_that_waits_is_begun_and_ended_ones_are_not_looked_at_again():
    scheduler = FairASHA("val_loss", None)
    ended, running, first, second = (
        Waiting(status) for status in ("TERMINATED", "RUNNING", "PENDING", "PENDING")
    )
    for trial in (ended, running, first, second):
        scheduler.on_trial_add(None, trial)
    assert scheduler.choose_trial_to_run(None) is first
    assert scheduler._unfinished == [running, first, second]
    # One whose worker died waits again, and came before the others.
    running.status = "PENDING"
    assert scheduler.choose_trial_to_run(None) is running
    for trial in (running, first, second):
        trial.status = "TERMINATED"
    assert scheduler.choose_trial_to_run(None) is None
    assert pickle.loads(pickle.dumps(scheduler))._unfinished == []
