import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn

from trainables.config import EPOCH_COLUMNS, MEASURED
from trainables.errors import UnknownName
from trainables.metrics import METRICS, Answers, Metric, canonical, measure
from trainables.metrics.auroc import mid_ranks

LOSS, SCORE = Metric("a_loss", "minimize"), Metric("a_score", "maximize")


def test_a_metric_knows_what_is_better():
    assert LOSS.better(0.1, 0.2)
    assert SCORE.better(0.2, 0.1)
    assert not LOSS.better(0.1, 0.1)
    assert not SCORE.better(0.1, 0.1)
    assert (LOSS.mode, SCORE.mode) == ("min", "max")


def test_any_value_is_better_than_the_worst_and_nan_never_is():
    for metric in (LOSS, SCORE):
        assert metric.better(-1e300, metric.worst)
        assert metric.better(1e300, metric.worst)
        assert not metric.better(math.nan, metric.worst)


def test_values_are_ordered_by_their_cost():
    values = [0.3, 0.1, 0.2]
    assert min(values, key=LOSS.cost) == LOSS.best(values) == 0.1
    assert min(values, key=SCORE.cost) == SCORE.best(values) == 0.3
    assert [SCORE.cost(SCORE.cost(value)) for value in values] == values


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_measured_each_epoch(name):
    assert METRICS[name].name == name
    assert EPOCH_COLUMNS[name] is float
    assert name in MEASURED
    assert METRICS[name].text.endswith((".", "classes"))


def answers(positive=None, images=120, classes=4, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    logits = random.normal(size=(images, classes)).round(1) + 1.5 * np.eye(classes)[labels]
    return Answers(labels, logits, positive)


def test_metrics_are_those_of_scikit_learn():
    for seed in range(5):
        for positive in range(4):
            found = answers(positive, seed=seed)
            chances, truth = found.probabilities, found.labels
            assert measure(found) == pytest.approx(
                {
                    "val_loss": sklearn.log_loss(truth, chances),
                    "val_accuracy": sklearn.accuracy_score(truth, found.predicted),
                    "val_balanced_accuracy": sklearn.balanced_accuracy_score(truth, found.predicted),
                    "val_macro_f1": sklearn.f1_score(truth, found.predicted, average="macro"),
                    "val_auroc": sklearn.roc_auc_score(truth, chances, multi_class="ovr", average="macro"),
                    "val_sensitivity_at_95": sensitivity(truth == positive, chances[:, positive]),
                }
            )


def sensitivity(positive, chance):
    false_alarms, hits, _ = sklearn.roc_curve(positive, chance, drop_intermediate=False)
    return hits[false_alarms <= 0.05].max()


def test_two_classes_have_one_area_and_ties_count_half():
    labels = np.array([0, 0, 1, 1])
    logits = np.array([[0, 0.0], [0, 1.0], [0, 1.0], [0, 2.0]])
    assert measure(Answers(labels, logits))["val_auroc"] == pytest.approx(
        sklearn.roc_auc_score(labels, logits[:, 1])
    )


def test_what_the_answers_do_not_tell_is_nan():
    found = measure(answers())
    assert math.isnan(found["val_sensitivity_at_95"])
    assert all(math.isfinite(found[name]) for name in found if name != "val_sensitivity_at_95")
    one_class = Answers(np.zeros(3, dtype=int), np.zeros((3, 2)), 0)
    assert math.isnan(measure(one_class)["val_auroc"])
    assert math.isnan(measure(one_class)["val_sensitivity_at_95"])


def test_an_at_sign_may_be_written_and_a_typo_is_told():
    assert canonical("val_sensitivity@95") == "val_sensitivity_at_95"
    with pytest.raises(UnknownName, match="val_auroc"):
        canonical("val_auroc1")


def test_ranks_are_those_of_scipy():
    random = np.random.default_rng(0)
    for values in (
        random.normal(size=200),
        random.integers(0, 9, 200),
        [4.0],
        [],
        [1.0, np.nan, 2.0],
        [0.0, -0.0, np.inf],
    ):
        assert np.array_equal(mid_ranks(values), stats.rankdata(values), equal_nan=True)


def test_a_part_of_the_answers_has_the_probabilities_of_the_whole():
    random = np.random.default_rng(0)
    whole = Answers(random.integers(0, 3, 50), random.normal(size=(50, 3)), 1)
    rows = random.integers(0, 50, 70)
    fresh = whole.only(rows)
    assert not set(vars(fresh)) & {"log_probabilities", "probabilities", "predicted"}
    expected = (fresh.probabilities, fresh.log_probabilities, fresh.predicted)
    assert whole.probabilities.shape == (50, 3)
    assert (whole.predicted == whole.logits.argmax(1)).all()
    kept = whole.only(rows)
    assert {"log_probabilities", "probabilities", "predicted"} <= set(vars(kept))
    for one, other in zip(
        expected, (kept.probabilities, kept.log_probabilities, kept.predicted), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_answers_that_take_some_of_another_model_are_these_answers():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 40)
    first, second = (Answers(labels, random.normal(size=(40, 3)), 1) for _ in range(2))
    rows = random.random(40) < 0.5
    plain = Answers(labels, np.where(rows[:, None], second.logits, first.logits), 1)
    for one in (first, second):
        assert one.probabilities.shape == (40, 3)
        assert one.predicted.shape == (40,)
    mixed = first.taking(second, rows)
    assert {"log_probabilities", "probabilities", "predicted"} <= set(vars(mixed))
    np.testing.assert_array_equal(mixed.logits, plain.logits)
    np.testing.assert_array_equal(mixed.probabilities, plain.probabilities)
    np.testing.assert_array_equal(mixed.predicted, plain.predicted)
