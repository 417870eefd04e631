import numpy as np
import pytest

from trainables.metrics import METRICS, Answers
from tuner.statistics.metric_errors import single_groups, spread, standard_error
from tuner.statistics.metric_tests import metric_test
from tuner.statistics.paired import mcnemar, paired_test

EXCHANGED = [metric for metric in METRICS.values() if metric.exchanged is not None]
OVER_CLASSES = [metric.name for metric in EXCHANGED]


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


@pytest.mark.parametrize("metric", EXCHANGED, ids=lambda metric: metric.name)
def test_the_parts_of_the_images_add_up_to_the_difference(metric):
    first, second, _ = models(gain=0.5)
    parts = metric.exchanged(first, second)
    assert parts.sum() == pytest.approx(metric.compute(first) - metric.compute(second))
    assert metric.exchanged(second, first) == pytest.approx(-parts)


@pytest.mark.parametrize("name", ["val_balanced_accuracy", "val_auroc"])
def test_an_exchange_of_answers_turns_the_sign_of_the_parts(name):
    """Of the AUROC, if both models' probabilities are on one scale, here that of ranks."""
    random, labels = np.random.default_rng(0), np.repeat([0, 1], 30)
    orders = [random.permutation(60) + 0.0 for _ in range(2)]
    first, second = (Answers(labels, np.stack([-one, one], axis=1) / 60) for one in orders)
    swapped = random.integers(0, 2, 60).astype(bool)
    ours = Answers(labels, np.where(swapped[:, None], second.logits, first.logits))
    theirs = Answers(labels, np.where(swapped[:, None], first.logits, second.logits))
    metric = METRICS[name]
    parts = np.where(swapped, -1, 1) * metric.exchanged(first, second)
    assert metric.compute(ours) - metric.compute(theirs) == pytest.approx(parts.sum())


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


def test_of_very_many_groups_blocks_are_left_out_class_by_class():
    first, _, _ = models(groups=3000, size=1)
    codes = np.arange(3000)
    by_block = standard_error(METRICS["val_macro_f1"], first, codes)
    assert by_block == pytest.approx(standard_error(METRICS["val_accuracy"], first, codes), rel=0.3)


@pytest.mark.parametrize("name", OVER_CLASSES)
def test_as_many_groups_are_needed_whether_there_are_few_or_many(name):
    """The variance is that of a group, and not of a block of groups."""
    first, second, codes = models(groups=300, size=1, gain=0.15)
    few = metric_test(METRICS[name], first, second, codes)
    times = 7
    labels, alike = np.tile(first.labels, times), [np.tile(one.logits, (times, 1)) for one in (first, second)]
    many = metric_test(METRICS[name], *(Answers(labels, one) for one in alike), np.arange(300 * times))
    assert many.difference == pytest.approx(few.difference)
    assert many.needed == pytest.approx(few.needed, rel=0.1)


def rare(groups, size=4, seed=0, classes=(25, 25), gain=0.0):
    """Two equal models where the last class has so many `groups`; on that one the first is better by `gain`."""
    random = np.random.default_rng(seed)
    each = np.repeat(np.arange(len(classes) + 1), [*classes, groups])
    labels, codes = np.repeat(each, size), np.repeat(np.arange(len(each)), size)
    count = len(classes) + 1
    own = np.eye(count)[labels]
    shared = random.normal(size=(len(each), count))[codes]
    better = gain * own * (labels == count - 1)[:, None]
    pair = [
        Answers(labels, 1.5 * own + shared + more + random.normal(size=shared.shape), count - 1)
        for more in (better, -better)
    ]
    return *pair, codes


@pytest.mark.parametrize("name", [*OVER_CLASSES, "val_sensitivity_at_95"])
@pytest.mark.parametrize("size", [1, 4])
def test_nothing_is_told_apart_where_a_class_has_a_single_group(name, size):
    first, second, codes = rare(1, size=size, gain=9.0)
    metric = METRICS[name]
    assert metric.compute(first) != metric.compute(second)
    found = metric_test(metric, first, second, codes)
    assert (found.p_value, found.needed) == (1.0, None)
    assert np.isnan([found.interval.low, found.interval.high]).all()
    assert np.isnan(standard_error(metric, first, codes))
    assert single_groups(metric, first, codes) == (2,)


@pytest.mark.parametrize("name", ["val_loss", "val_accuracy"])
def test_a_mean_over_images_does_not_hang_on_the_groups_of_a_class(name):
    first, second, codes = rare(1, gain=1.0)
    assert single_groups(METRICS[name], first, codes) == ()
    assert np.isfinite(standard_error(METRICS[name], first, codes))
    assert np.isfinite(metric_test(METRICS[name], first, second, codes).interval.low)


def test_the_rest_of_a_class_of_interest_needs_two_groups_too():
    labels, codes = np.repeat([0, 1], [12, 4]), np.repeat(np.arange(4), 4)
    answers = Answers(labels, np.random.default_rng(0).normal(size=(16, 2)), 0)
    assert single_groups(METRICS["val_sensitivity_at_95"], answers, codes) == (None,)


@pytest.mark.parametrize("name", OVER_CLASSES)
@pytest.mark.parametrize("groups", [2, 3])
def test_equal_models_are_seldom_told_apart_where_a_class_has_few_groups(name, groups):
    alarms = [metric_test(METRICS[name], *rare(groups, seed=seed)).p_value <= 0.05 for seed in range(60)]
    assert sum(alarms) <= 7


@pytest.mark.parametrize("name", OVER_CLASSES)
def test_two_groups_alone_are_no_proof(name):
    first, second, codes = rare(2, gain=9.0)
    found = metric_test(METRICS[name], first, second, codes)
    assert found.p_value > 0.05
    assert found.needed > 50


def test_the_error_counts_each_class_by_its_own_groups():
    """Of a class of two groups, the half of their difference; equally right groups of other classes add nothing."""
    labels, codes = np.repeat([0, 0, 1], 4), np.repeat(np.arange(3), 4)
    labels, codes = np.append(labels, [1] * 4), np.append(codes, [3] * 4)
    right = np.array([1] * 4 + [1, 1, 0, 0] + [1] * 8)
    answers = Answers(labels, np.eye(2)[np.where(right == 1, labels, 1 - labels)] * 1.0)
    found = spread(METRICS["val_balanced_accuracy"], (answers,), codes)
    assert found.variance == pytest.approx((0.5 * 0.25) ** 2)
    assert found.freedom == 1


def test_groups_of_unequal_size_do_not_widen_a_mean_that_does_not_vary():
    labels, codes = np.zeros(12, dtype=int), np.repeat([0, 1, 2], [1, 3, 8])
    answers = Answers(labels, np.tile([1.0, 0.0], (12, 1)))
    assert standard_error(METRICS["val_loss"], answers, codes) == pytest.approx(0, abs=1e-9)


def test_groups_with_images_of_two_classes_count_for_both():
    first, second, _ = rare(2)
    codes = np.arange(len(first.labels)) % 13
    assert single_groups(METRICS["val_macro_f1"], first, codes) == ()
    assert standard_error(METRICS["val_macro_f1"], first, codes) > 0
    assert metric_test(METRICS["val_macro_f1"], first, second, codes).p_value > 0.01
