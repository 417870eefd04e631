import math

import numpy as np
import pytest

from tuner.statistics.calibration import (
    calibration_change,
    error_by_mass,
    loss_change,
    mean_logits,
)
from tuner.statistics.log_loss import log_losses
from tuner.statistics.scores import softmax


def answers(images, temperature, seed=0, per_group=1):
    """Logits that are `temperature` times too far apart, the truth that they were drawn with, and groups."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(images // per_group), per_group)
    honest = 2 * rng.normal(size=(images // per_group, 3))[groups]
    truth = np.array([rng.choice(3, p=row) for row in softmax(honest)])
    return honest * temperature, truth, groups


def overconfident(groups, seed):
    """Groups of four images whose logits are 1.5 times too far apart; images of a group have something in common."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), 4)
    labels = rng.integers(0, 3, groups)[codes]
    noise = math.sqrt(0.5) * (rng.normal(size=(groups, 3))[codes] + rng.normal(size=(4 * groups, 3)))
    return 2 * (noise + 2 * np.eye(3)[labels]) * 1.5, labels, codes


def test_an_error_by_mass_of_a_forecaster_that_is_wrong_by_a_tenth_is_a_tenth():
    sure = np.repeat([0.6, 0.9], 500)
    right = np.concatenate([np.arange(500) < 250, np.arange(500) < 400])
    assert error_by_mass(sure, right) == pytest.approx(0.1)


def test_the_order_of_images_with_equal_confidence_does_not_matter():
    sure, right = np.full(40, 0.75), np.arange(40) < 30
    assert error_by_mass(sure, right) == pytest.approx(error_by_mass(sure, right[::-1])) == pytest.approx(0)


def test_the_square_of_the_calibration_error_is_free_of_noise_where_the_other_is_not():
    found = [calibration_change(*answers(200, 1.0, seed=n, per_group=4), 1.0) for n in range(60)]
    squares = np.array([one.square.before for one in found])
    assert abs(squares.mean()) < 3 * squares.std() / math.sqrt(60)
    assert np.mean([one.expected_before for one in found]) ** 2 > 4 * abs(squares.mean())


def test_a_temperature_that_mends_lowers_loss_and_calibration_error_with_intervals():
    logits, labels, groups = answers(1200, 3.0, per_group=2)
    loss, error = loss_change(logits, labels, groups, 3.0), calibration_change(logits, labels, groups, 3.0)
    assert loss.before == pytest.approx(log_losses(logits, labels).mean())
    assert loss.difference == pytest.approx(loss.after - loss.before)
    assert loss.before_95.low < loss.before < loss.before_95.high
    assert loss.difference_95.high < 0
    assert error.expected_after < error.expected_before
    assert error.square.difference_95.high < 0
    assert error.square.after_95.low == 0


def test_intervals_hold_the_truth_nine_times_in_ten_at_least_on_fifty_groups():
    large = overconfident(30_000, 0)
    truths = (loss_change(*large, 1.5), calibration_change(*large, 1.5).square)
    hits = np.zeros((2, 3))
    for seed in range(1, 101):
        sample = overconfident(54, seed)
        found = (loss_change(*sample, 1.5), calibration_change(*sample, 1.5).square)
        for row, (right, one) in enumerate(zip(truths, found, strict=True)):
            for column, which in enumerate(("before", "after", "difference")):
                ends, value = getattr(one, f"{which}_95"), getattr(right, which)
                # Of very many images the square of a mended model may come out just below 0.
                hits[row, column] += ends.low <= (value if column == 2 else max(0, value)) <= ends.high
    assert (hits >= 88).all(), hits


def test_the_square_of_bins_of_unequal_mass_weights_each_by_its_images():
    """Equal confidences share a bin: here ninety images are right by 0.1 too seldom, ten as often as they say."""
    confidence = np.repeat([0.8, 0.6], [90, 10])
    logits = np.stack([np.log(confidence / (1 - confidence)), np.zeros(100)], axis=1)
    labels = np.concatenate([np.arange(90) >= 63, np.arange(10) >= 6]).astype(np.int64)
    # Of one group no noise is known.
    found = calibration_change(logits, labels, np.zeros(100), 1.0)
    assert found.square.before == pytest.approx(0.9 * 0.1**2)
    assert found.square.before == pytest.approx(found.square.after)


def test_each_image_may_have_a_temperature_of_its_own():
    logits, labels, groups = answers(300, 2.0, per_group=3)
    own = np.where(groups % 2 == 0, 2.0, 1.5)
    mended = logits / own[:, None]
    assert loss_change(logits, labels, groups, own).after == pytest.approx(log_losses(mended, labels).mean())
    error = calibration_change(logits, labels, groups, own)
    assert error.expected_after == pytest.approx(
        error_by_mass(softmax(mended).max(axis=1), mended.argmax(axis=1) == labels)
    )


def test_one_group_has_no_interval():
    logits, labels, _ = answers(20, 2.0)
    one = np.zeros(20)
    assert loss_change(logits, labels, one, 2.0).before_95 is None
    assert calibration_change(logits, labels, one, 2.0).square.before_95 is None


def test_an_ensemble_s_logits_are_those_of_the_mean_probability():
    members = np.random.default_rng(0).normal(size=(3, 5, 4)) * 5
    expected = np.average(softmax(members.reshape(-1, 4)).reshape(3, 5, 4), axis=0, weights=[2, 1, 1])
    np.testing.assert_allclose(softmax(mean_logits(members, [2, 1, 1])), expected, atol=1e-12)
    np.testing.assert_allclose(np.exp(mean_logits(members, [2, 1, 1])).sum(axis=1), 1)
