import numpy as np
import pytest

from trainables.metrics import METRICS, Answers
from tuner.evaluation.metric_tests import group_parts, metric_test, standard_error
from tuner.evaluation.statistics import mcnemar, paired_test

SMOOTH = [metric for metric in METRICS.values() if metric.smooth]


def models(seed=0, groups=40, size=4, gain=0.0):
    """Two models' answers to the same images, the first better by `gain`, and the images' groups."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), size)
    labels = np.repeat(random.integers(0, 3, groups), size)
    kinds = np.eye(3)[labels]
    shared = random.normal(size=(groups, 3))[codes]
    answers = [
        Answers(labels, 1.5 * kinds * (1 + more) + shared + random.normal(size=shared.shape), 0)
        for more in (gain, 0.0)
    ]
    return *answers, codes


@pytest.mark.parametrize("name", METRICS)
def test_the_difference_is_that_of_the_metric_and_turns_its_sign_with_the_models(name):
    metric = METRICS[name]
    first, second, codes = models()
    found, turned = metric_test(metric, first, second, codes), metric_test(metric, second, first, codes)
    assert found.difference == pytest.approx(metric.compute(first) - metric.compute(second))
    assert turned.difference == pytest.approx(-found.difference)
    assert turned.p_value == pytest.approx(found.p_value, abs=0.02)
    assert found.interval.low <= found.difference <= found.interval.high


@pytest.mark.parametrize("name", METRICS)
def test_a_much_better_model_is_seen_and_an_equal_one_is_not(name):
    first, second, codes = models(gain=2.0)
    assert metric_test(METRICS[name], first, second, codes).p_value < 0.01
    same = metric_test(METRICS[name], first, first, codes)
    assert (same.difference, same.p_value, same.needed) == (0, 1, None)


def test_recalls_in_another_order_are_no_difference():
    """Their means differ in the last bit, of which no number of groups would be enough."""
    labels = np.repeat([0, 1, 2], 40)

    def right(*counts):
        hits = np.concatenate([np.arange(40) < count for count in counts])
        return Answers(labels, 3.0 * np.eye(3)[np.where(hits, labels, (labels + 1) % 3)])

    balanced = METRICS["val_balanced_accuracy"]
    first, second = right(20, 24, 24), right(24, 24, 20)
    assert balanced.compute(first) != balanced.compute(second)
    found = metric_test(balanced, first, second, np.arange(120) // 4)
    assert (found.difference, found.needed) == (0.0, None)


@pytest.mark.parametrize("name", ["val_balanced_accuracy", "val_macro_f1", "val_auroc", "val_accuracy"])
def test_two_models_that_answer_alike_are_not_proved_equal(name):
    first, _, codes = models(groups=20)
    found = metric_test(METRICS[name], first, first, codes)
    assert found.interval.low < -0.05
    assert found.interval.high > 0.05


@pytest.mark.parametrize("name", ["val_sensitivity_at_95", "val_auroc"])
def test_what_has_no_value_tells_nothing_apart(name):
    labels, codes = np.zeros(40, dtype=int), np.arange(40) // 4
    random = np.random.default_rng(0)
    first, second = (Answers(labels, random.normal(size=(40, 3)), 1) for _ in range(2))
    assert np.isnan(METRICS[name].compute(first))
    found = metric_test(METRICS[name], first, second, codes)
    assert (found.p_value, found.needed) == (1.0, None)


def test_many_questions_leave_a_p_value_that_survives_their_correction():
    metric = METRICS["val_sensitivity_at_95"]
    first, second, codes = models(gain=3.0)
    assert metric_test(metric, first, second, codes).p_value == pytest.approx(0.001)
    assert metric_test(metric, first, second, codes, questions=55).p_value * 55 < 0.05
    # Where it is clear that nothing is to be seen, nothing more is exchanged.
    few = metric_test(metric, *models(seed=3)[:2], codes)
    assert metric_test(metric, *models(seed=3)[:2], codes, questions=10**6).p_value == few.p_value > 0.1


@pytest.mark.parametrize("metric", SMOOTH, ids=lambda metric: metric.name)
def test_the_parts_of_the_groups_add_up_to_the_metric(metric):
    answers, _, codes = models()
    parts = group_parts(metric, answers, codes)
    assert len(parts) == 40
    assert parts.mean() == pytest.approx(metric.compute(answers), abs=0.02)


def test_the_error_of_a_mean_over_equal_groups_is_that_of_the_groups_means():
    answers, _, codes = models()
    means = METRICS["val_loss"].values(answers).reshape(40, 4).mean(axis=1)
    expected = means.std(ddof=1) / np.sqrt(40)
    assert standard_error(METRICS["val_loss"], answers, codes) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["val_balanced_accuracy", "val_macro_f1", "val_auroc"])
def test_the_error_that_the_jackknife_finds_is_that_over_new_test_sets(name):
    metric = METRICS[name]
    drawn = [models(seed) for seed in range(200)]
    true = np.std([metric.compute(first) for first, _, _ in drawn])
    found = np.median([standard_error(metric, first, codes) for first, _, codes in drawn[:20]])
    assert found == pytest.approx(true, rel=0.2)


def test_accuracy_keeps_its_own_test():
    first, second, codes = models()
    right, too = (one.predicted == one.labels for one in (first, second))
    assert metric_test(METRICS["val_accuracy"], first, second, codes) == paired_test(right, too, codes)
    alone = np.arange(len(codes))
    assert metric_test(METRICS["val_accuracy"], first, second, alone).p_value == mcnemar(right, too)


def test_of_very_many_groups_blocks_are_left_out():
    first, second, _ = models(groups=3000, size=1)
    codes = np.arange(3000)
    parts = group_parts(METRICS["val_macro_f1"], first, codes)
    assert len(parts) == 400
    by_block = standard_error(METRICS["val_macro_f1"], first, codes)
    assert by_block == pytest.approx(standard_error(METRICS["val_accuracy"], first, codes), rel=0.3)
    assert metric_test(METRICS["val_macro_f1"], first, second, codes).p_value > 0.01


def test_a_group_without_which_a_class_is_gone_is_left_in():
    labels = np.array([0, 0, 1, 1, 2, 2])
    answers = Answers(labels, 2.0 * np.eye(3)[labels] + np.arange(18).reshape(6, 3) % 5)
    codes = np.array([0, 1, 2, 3, 4, 4])
    parts = group_parts(METRICS["val_balanced_accuracy"], answers, codes)
    assert parts[4] == METRICS["val_balanced_accuracy"].compute(answers)
