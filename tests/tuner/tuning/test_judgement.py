from dataclasses import replace

import numpy as np
import pytest

from trainables.config import TrialConfig
from trainables.data.split import Split
from trainables.temperature import calibrated_losses
from tuner.runs.ensemble import ENSEMBLE
from tuner.statistics.calibration import mean_logits
from tuner.statistics.means import error_of_mean
from tuner.tuning.candidates import Candidate, Judges
from tuner.tuning.fold_answers import answerable
from tuner.tuning.fold_seconds import folds_seconds
from tuner.tuning.judgement import judge

IMAGES = 240
LABELS = np.arange(IMAGES) % 3
CONFIG = TrialConfig.resolve({"model": "resnet18", "strategy": "full"})
HEAD = TrialConfig.resolve({"model": "resnet18", "strategy": "linear_probe", "max_epochs": 1})


def judges():
    names = tuple(f"{number}" for number in range(IMAGES))
    return Judges(Split(names, LABELS, names, ("train",) * IMAGES, ("a", "b", "c")), "val_loss", None)


def candidate(name, skill, seed, answered=IMAGES, source="first", config=CONFIG, epochs=12):
    random = np.random.default_rng(seed)
    logits = skill * np.eye(3)[LABELS] + random.normal(0, 1.5, (IMAGES, 3))
    logits[answered:] = np.nan
    return Candidate({"trial_id": name, "best_epoch": epochs, "source": source}, config, logits)


def test_half_of_the_images_are_enough_to_take_part_in_the_ensemble():
    head, tuned = candidate("head", 2.0, 0), candidate("tuned", 2.2, 1, answered=140)
    found = {one.trial_id: one for one in judge([head, tuned], judges())}
    assert found["head"].votes > 0
    assert found["tuned"].votes > 0
    assert found[ENSEMBLE].images == 140
    assert found[ENSEMBLE].value < min(found["head"].value, found["tuned"].value)


def test_the_ensemble_is_worth_what_images_that_did_not_choose_it_say():
    random = np.random.default_rng(5)
    skill = 0.5 * np.eye(3)[LABELS]
    alike = [candidate(f"{number}", 0.0, number) for number in range(12)]
    for one in alike:
        one.logits = skill + random.normal(0, 1.5, (IMAGES, 3))
    found = judge(alike, judges())
    votes = {one.trial_id: one.votes for one in found if one.votes and one.trial_id != ENSEMBLE}
    seen = mean_logits([one.logits for one in alike if one.trial_id in votes], list(votes.values()))
    names = judges().pool.groups
    told = next(one.value for one in found if one.trial_id == ENSEMBLE)
    assert told > calibrated_losses(seen, LABELS, names).mean()


def test_fewer_than_half_are_not():
    few = judge([candidate("head", 2.0, 0), candidate("tuned", 2.2, 1, answered=100)], judges())
    assert {one.trial_id for one in few} == {"head", "tuned"}
    assert not any(one.votes for one in few)


def test_a_class_of_one_training_group_does_not_keep_trials_from_being_judged_by_all_that_can():
    """A head answers that group, with the class's validation group in its training; no fold of a trial can."""
    labels = np.where(np.arange(IMAGES) < 2, 2, np.arange(IMAGES) % 2)
    names = tuple(f"{number}" for number in range(IMAGES))
    parts = ("val", *("train",) * (IMAGES - 1))
    pool = Split(names, labels, names, parts, ("a", "b", "c"))
    head, tuned = candidate("head", 2.0, 0, config=HEAD), candidate("tuned", 2.0, 1)
    for one in (head, tuned):
        one.logits = 2.0 * np.eye(3)[labels] + np.random.default_rng(one.epochs).normal(0, 1.5, (IMAGES, 3))
    # A little better, by less than a challenger would have to be.
    tuned.logits = tuned.logits + 0.02 * np.eye(3)[labels]
    tuned.logits[1] = np.nan
    found = judge([head, lucky(tuned, 0.5)], Judges(pool, "val_loss", None))
    assert (answerable(pool) == (np.arange(IMAGES) != 1)).all()
    assert found[0].trial_id == "tuned"
    assert found[0].images == IMAGES - 1


def test_before_a_frozen_network_any_lead_on_few_images_is_enough_and_before_another_it_is_not():
    # A lead of about half of its standard error.
    few = [candidate("tuned", 2.1, 1, answered=24)]
    frozen = judge([candidate("head", 2.0, 0, config=HEAD), *few], judges())
    trained = judge([candidate("head", 2.0, 0), *few], judges())
    assert [frozen[0].trial_id, trained[0].trial_id] == ["tuned", "head"]
    worse = judge([candidate("head", 2.0, 0, config=HEAD), candidate("tuned", 0.5, 1, answered=24)], judges())
    assert worse[0].trial_id == "head"


def lucky(tuned, by):
    """The same trial where it was chosen among others and may expect a loss that is so much higher."""
    tuned.row = {**tuned.row, "value": 0.3, "estimate": 0.3 + by}
    return tuned


def parted(metric="val_loss"):
    """The first 24 images are those that chose among all trials."""
    whole = judges()
    pool = replace(whole.pool, parts=("val",) * 24 + ("train",) * (IMAGES - 24))
    return Judges(pool, metric, None)


def test_a_lead_that_is_the_luck_of_having_been_chosen_does_not_count():
    head = candidate("head", 2.0, 0, config=HEAD)
    tuned = candidate("tuned", 2.1, 1, answered=24)
    assert judge([head, lucky(tuned, 0.0)], parted())[0].trial_id == "tuned"
    assert judge([head, lucky(tuned, 0.5)], parted())[0].trial_id == "head"


def test_half_of_the_luck_counts_where_half_of_the_images_chose():
    head, tuned = candidate("head", 2.0, 0), candidate("tuned", 6.0, 1, answered=48)
    (plain,), (shifted,) = (
        [one for one in judge([head, lucky(tuned, by)], parted()) if one.chosen] for by in (0.0, 0.1)
    )
    assert plain.trial_id == shifted.trial_id == "tuned"
    assert 0.05 <= shifted.expected - plain.expected < 0.06


def test_what_few_images_promise_is_less_than_their_lead():
    head, tuned = candidate("head", 2.0, 0, config=HEAD), candidate("tuned", 2.1, 1, answered=24)
    found = {one.trial_id: one for one in judge([head, tuned], judges())}
    assert found["tuned"].chosen
    # A lead of half of its standard error is no promise.
    assert found["tuned"].value < found["tuned"].expected == found["head"].expected
    # What other images say is not known by how much its own few differ.
    own, names = LABELS[:24], judges().pool.groups[:24]
    losses = [calibrated_losses(one.logits[:24], own, names) for one in (tuned, head)]
    lead = error_of_mean(losses[0] - losses[1], names)
    assert found["tuned"].error == pytest.approx(np.hypot(found["head"].error, lead), rel=0.01)
    far = judge([head, candidate("far", 6.0, 1, answered=24)], judges())[0]
    assert 0 < far.value == far.expected < found["head"].expected


def test_by_another_metric_a_lead_of_one_image_is_not_enough():
    head = candidate("head", 9.0, 0, config=HEAD)
    tuned = candidate("tuned", 9.0, 1, answered=24)
    for one in (head, tuned):
        one.logits[:24] = 5 * np.eye(3)[LABELS[:24]]
    head.logits[0] = [0.0, 1.0, 2.0]
    assert judge([head, tuned], parted("val_accuracy"))[0].trial_id == "head"
    head.logits[:6] = -5 * np.eye(3)[LABELS[:6]]
    assert judge([head, tuned], parted("val_accuracy"))[0].trial_id == "tuned"


def test_of_two_that_tie_by_another_metric_the_cheaper_is_chosen():
    slow, fast = candidate("slow", 9.0, 0), candidate("fast", 9.0, 1)
    for one, cost in ((slow, 20.0), (fast, 10.0)):
        one.logits, one.cost = 5 * np.eye(3)[LABELS], cost
    assert judge([slow, fast], parted("val_accuracy"))[0].trial_id == "fast"
    fast.logits[0] = [0.0, 1.0, 2.0]
    assert judge([slow, fast], parted("val_accuracy"))[0].trial_id == "slow"
    # What one costs is not known, so the first stays.
    fast.logits, fast.cost = slow.logits, np.nan
    assert judge([slow, fast], parted("val_accuracy"))[0].trial_id == "slow"


def test_a_trial_of_few_epochs_needs_more_than_any_lead_and_does_not_change_what_heads_are_worth():
    head = candidate("head", 2.0, 0, config=HEAD)
    short = judge([head, candidate("tuned", 2.1, 1, answered=24, epochs=3)], judges())
    assert short[0].trial_id == "head"
    far = judge([head, candidate("tuned", 6.0, 1, answered=24, epochs=3)], judges())
    assert far[0].trial_id == "tuned"
    alone = judge([head], judges())[0].expected
    for found in (short, far):
        assert next(one for one in found if one.trial_id == "head").expected == alone


def test_of_two_trials_the_one_that_names_more_classes_rightly_is_chosen_though_it_is_too_sure():
    sure = candidate("sure", 3.0, 0)
    sure.logits *= 8
    found = judge([candidate("modest", 2.0, 1), sure], judges())
    assert found[0].trial_id == "sure"
    assert found[0].value < 0.5


def test_the_next_folds_of_the_best_trial_are_what_has_to_fit():
    rows = [{"source": "first", "best_epoch": 4, "epochs": 8, "seconds": 80.0 * more} for more in (1, 2)]
    least, most = folds_seconds(rows, 5, 2)
    assert least == pytest.approx(40.0)
    assert most == pytest.approx((40 + 80) * 4 / 2)
    assert folds_seconds([{"source": "probe"}], 5, 2) == (0.0, 0.0)


def test_one_that_half_of_the_images_judged_changes_no_ensemble_that_it_is_not_in():
    random = np.random.default_rng(3)
    first, second = candidate("a", 2.0, 0), candidate("b", 2.0, 1)
    alone = {one.trial_id: one.votes for one in judge([first, second], judges())}
    poor = candidate("p", 0.0, 2, answered=140)
    poor.logits[:140] += random.normal(0, 5.0, (140, 3))
    assert alone["a"] > 0
    assert alone["b"] > 0
    found = {one.trial_id: one.votes for one in judge([first, second, poor], judges())}
    assert (found["a"], found["b"], found["p"]) == (alone["a"], alone["b"], 0)
