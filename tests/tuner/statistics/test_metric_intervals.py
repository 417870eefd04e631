import numpy as np
import pytest
from scipy import stats

from trainables.metrics import METRICS, Answers
from tuner.statistics.calibration import mean_interval
from tuner.statistics.intervals import cost_interval, wilson
from tuner.statistics.metric_intervals import metric_interval
from tuner.statistics.scores import score_intervals

COSTS = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 20.0], [0.5, 2.0, 0.0]])


def answers(seed=0, groups=30, size=4, skill=2.0):
    """A model's answers to images of three classes, and the images' groups."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), size)
    labels = np.repeat(np.arange(groups) % 3, size)
    shared = random.normal(size=(groups, 3))[codes]
    return Answers(labels, skill * np.eye(3)[labels] + shared + random.normal(size=shared.shape), 0), codes


def known(found, codes):
    return score_intervals(found.labels, found.logits, [str(code) for code in codes])


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_an_interval_about_its_value(name):
    found, codes = answers()
    interval = metric_interval(METRICS[name], found, codes, known(found, codes))
    assert interval.low < METRICS[name].compute(found) < interval.high
    assert interval.low >= 0
    more, of_more = answers(groups=480)
    narrower = metric_interval(METRICS[name], more, of_more, known(more, of_more))
    assert narrower.high - narrower.low < 0.5 * (interval.high - interval.low)


@pytest.mark.parametrize(
    "name", ["val_balanced_accuracy", "val_macro_f1", "val_auroc", "val_sensitivity_at_95"]
)
def test_there_is_none_where_a_class_has_a_single_group(name):
    found, codes = answers()
    rare = Answers(found.labels, found.logits, 2)
    keep = (found.labels != 2) | (codes == 2)
    few, of_few = rare.only(keep), codes[keep]
    assert metric_interval(METRICS[name], few, of_few, known(few, of_few)) is None


def test_what_has_an_interval_of_its_own_keeps_it():
    found, codes = answers()
    sure = known(found, codes)
    assert metric_interval(METRICS["val_macro_f1"], found, codes, sure) == sure.macro_f1
    assert metric_interval(METRICS["val_accuracy"], found, codes, sure) == sure.accuracy
    losses = METRICS["val_loss"].values(found)
    assert metric_interval(METRICS["val_loss"], found, codes, sure) == mean_interval(losses, codes)


def test_of_one_group_nothing_is_known():
    found, codes = answers(groups=3, size=8)
    one = np.zeros(len(codes), dtype=int)
    sure = known(found, codes)
    assert metric_interval(METRICS["val_loss"], found, one, sure) is None
    assert metric_interval(METRICS["val_auroc"], found, one, sure) is None


@pytest.mark.parametrize("name", ["val_loss", "val_auroc"])
def test_it_holds_the_truth_about_as_often_as_it_says(name):
    metric = METRICS[name]
    many, _ = answers(seed=99, groups=6000)
    truth, held = metric.compute(many), 0
    for seed in range(60):
        found, codes = answers(seed)
        interval = metric_interval(metric, found, codes, known(found, codes))
        held += interval.low <= truth <= interval.high
    assert stats.binomtest(held, 60, 0.95).pvalue > 0.01


def test_that_no_dear_mistake_was_seen_is_no_proof_that_none_is_made():
    groups = np.repeat(np.arange(54), 4)
    none = cost_interval(np.zeros(216), COSTS, groups)
    assert none.low == 0
    assert none.high == pytest.approx(20 * wilson(0, 54).high)
    paid = np.zeros(216)
    paid[0] = 20
    one = cost_interval(paid, COSTS, groups)
    assert 0 <= one.low < paid.mean() < one.high


def test_costs_of_one_are_the_share_of_mistakes():
    wrong = np.random.default_rng(0).random(200) < 0.2
    alike = np.array([[0.0, 1.0], [1.0, 0.0]])
    ours, share = cost_interval(wrong, alike, np.arange(200)), wilson(wrong.sum(), 200)
    assert (ours.low, ours.high) == pytest.approx((share.low, share.high), abs=0.002)
    assert cost_interval(np.ones(4), np.ones((2, 2)), np.arange(4)).low == 1


def test_dear_and_cheap_mistakes_in_groups_are_held():
    """Groups whose photographs fail together, a fifth of the mistakes twenty times as dear as the others."""
    random, held = np.random.default_rng(0), 0
    for _ in range(100):
        risk = random.beta(0.1 * 2, 0.9 * 2, 54)
        wrong = random.random((54, 4)) < risk[:, None]
        paid = np.where(wrong, np.where(random.random((54, 4)) < 0.2, 20.0, 1.0), 0.0).ravel()
        interval = cost_interval(paid, COSTS, np.repeat(np.arange(54), 4))
        held += interval.low <= 0.1 * (0.2 * 20 + 0.8 * 1) <= interval.high
    assert held >= 90
