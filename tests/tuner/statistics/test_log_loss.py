import numpy as np
import pytest
from sklearn.metrics import log_loss

from trainables.metrics import Answers, measure
from tuner.statistics.log_loss import LEAST_PROBABILITY, log_losses, log_losses_of_probabilities
from tuner.statistics.scores import softmax


def answers(size=50, far=3.0):
    random = np.random.default_rng(0)
    return far * random.normal(size=(size, 4)), random.integers(0, 4, size)


def test_the_mean_is_the_log_loss_of_the_field_s_library_and_of_a_search():
    logits, labels = answers()
    mean = log_losses(logits, labels).mean()
    assert mean == pytest.approx(log_loss(labels, softmax(logits), labels=range(4)))
    assert mean == measure(Answers(labels, logits))["val_loss"]


def test_logits_that_are_far_apart_cost_what_they_are_apart():
    assert log_losses([[0.0, 1e4]], np.array([0])).tolist() == [1e4]


def test_numbers_in_single_precision_are_computed_in_double():
    logits, labels = answers()
    single = logits.astype(np.float32)
    assert (log_losses(single, labels) == log_losses(single.astype(np.float64), labels)).all()


def test_probabilities_cost_what_their_logits_do_and_a_rounded_zero_is_no_infinity():
    logits, labels = answers()
    assert log_losses_of_probabilities(softmax(logits), labels) == pytest.approx(log_losses(logits, labels))
    assert log_losses_of_probabilities([[0.0, 1.0]], np.array([0])) == pytest.approx(
        -np.log(LEAST_PROBABILITY)
    )
