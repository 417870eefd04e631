import numpy as np
import pytest
from scipy import stats

from trainables.metrics import METRICS, Answers
from tuner.statistics.means import mean_interval
from tuner.statistics.metric_intervals import metric_interval
from tuner.statistics.scores import score_intervals


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
