import math

import numpy as np
import pytest
from sklearn import metrics

from tuner.statistics.scores import score, score_intervals, softmax, why_no_interval


def sample(count=200, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, logits


def test_scores_equal_those_of_scikit_learn():
    labels, logits = sample()
    ours, predicted, probabilities = score(labels, logits), logits.argmax(axis=1), softmax(logits)
    assert ours.loss == pytest.approx(metrics.log_loss(labels, probabilities))
    assert ours.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert ours.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert ours.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(labels, predicted)
    assert ours.precision == pytest.approx(precision)
    assert ours.recall == pytest.approx(recall)
    assert ours.f1 == pytest.approx(f1)
    for number, auc in enumerate(ours.auc):
        assert auc == pytest.approx(metrics.roc_auc_score(labels == number, probabilities[:, number]))
    assert np.array_equal(ours.confusion, metrics.confusion_matrix(labels, predicted))


def test_confident_logits_keep_a_finite_loss():
    scores = score(np.array([0, 1]), np.array([[1000.0, 0.0], [1000.0, 0.0]]))
    assert scores.loss == pytest.approx(500.0)
    assert scores.accuracy == 0.5


def test_a_class_without_images_has_no_auc_and_does_not_count_as_wrong():
    scores = score(np.array([0, 1, 0]), np.eye(3)[[0, 1, 0]])
    assert math.isnan(scores.auc[2])
    assert scores.balanced_accuracy == 1.0


def test_tied_probabilities_give_half_an_auc():
    scores = score(np.array([0, 1, 0, 1]), np.zeros((4, 2)))
    assert scores.auc == (0.5, 0.5)


def test_intervals_hold_their_scores_and_grouped_ones_are_wider():
    labels, logits = sample(60)
    labels, logits = np.repeat(labels, 4), np.repeat(logits, 4, axis=0)
    groups = [f"leaf {number}" for number in np.repeat(np.arange(60), 4)]
    scores, intervals = score(labels, logits), score_intervals(labels, logits, groups)
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        interval = getattr(intervals, name)
        assert interval.low < getattr(scores, name) < interval.high
    image = intervals.image_accuracy
    assert intervals.accuracy.high - intervals.accuracy.low > 1.7 * (image.high - image.low)


def test_a_perfect_balanced_accuracy_is_less_certain_the_rarer_a_class_is():
    widths = []
    for rare in (2, 4, 25):
        labels = np.repeat([0, 1, 2], [100, 100, 4 * rare])
        groups = [str(number) for number in np.repeat(np.arange(50 + rare), 4)]
        intervals = score_intervals(labels, np.eye(3)[labels], groups)
        assert intervals.balanced_accuracy.high == 1.0
        widths.append(1 - intervals.balanced_accuracy.low)
    assert widths[0] > 1.2 * widths[1] > 1.5 * widths[2]


@pytest.mark.parametrize("rare", [2, 3, 6])
def test_averages_over_classes_have_wide_intervals_where_a_class_is_rare(rare):
    labels = np.repeat([0, 1, 2], [24, 24, 4 * rare])
    groups = [str(number) for number in np.repeat(np.arange(12 + rare), 4)]
    intervals = score_intervals(labels, 4 * np.eye(3)[labels], groups)
    for interval in (intervals.balanced_accuracy, intervals.macro_f1):
        assert interval.high == 1.0
        assert interval.low < 0.92


def test_a_class_of_a_single_group_leaves_averages_over_classes_without_an_interval():
    labels = np.repeat([0, 1, 2], [24, 24, 4])
    groups = [str(number) for number in np.repeat(np.arange(13), 4)]
    intervals = score_intervals(labels, np.eye(3)[labels], groups)
    assert (intervals.balanced_accuracy, intervals.macro_f1, intervals.auc[2]) == (None, None, None)
    assert intervals.alone == (2,)
    assert intervals.accuracy.low < 1.0
    assert intervals.auc[0].high == 1.0


def test_the_reason_for_no_interval_names_the_classes():
    assert why_no_interval(["b|c"]).startswith("class 'b|c' has a single test group,")
    assert why_no_interval(["a", "b"], "image").startswith("classes 'a', 'b' have a single test image,")


def test_one_answer_is_that_of_a_model_that_tells_nothing_apart():
    labels = np.array([0, 0, 1, 2])
    assert score(labels, np.tile([0.1, 0.9, 0.0], (4, 1))).one_answer == 1
    assert score(labels, np.eye(3)[labels]).one_answer is None
    assert score(np.zeros(4, dtype=int), np.tile([0.9, 0.1, 0.0], (4, 1))).one_answer is None
