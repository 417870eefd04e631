"""What a temperature gained is told of images that did not give it."""

import numpy as np
import pytest

from trainables.metrics.answers import log_softmax
from trainables.temperature import calibrated_losses
from tuner.evaluation.comparison.uncertainty import Answers, calibrate, uncertainty
from tuner.statistics.log_loss import log_losses


def drawn(seed: int, images: int = 44) -> Answers:
    """Answers of a calibrated model to `images` of three classes, each its own group."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(images, 3))
    labels = np.array([random.choice(3, p=row) for row in np.exp(log_softmax(logits))])
    return Answers(logits, labels, [f"g{i:03}" for i in range(images)])


def test_images_that_gave_the_temperature_do_not_praise_it() -> None:
    """A calibrated model can only lose by a temperature; on the images that fitted it, it always gains."""
    gains, flattered = [], []
    for seed in range(60):
        answers = drawn(seed)
        fitted = calibrate(answers, "so")
        found = uncertainty(["a", "b", "c"], fitted, None, None)["calibration"]["validation"]["loss"]
        gains.append(found["difference"])
        after = log_losses(answers.logits / fitted.temperature, answers.labels)
        flattered.append(float(after.mean()) - found["before"])
    assert np.mean(flattered) < -0.005
    assert np.mean(gains) > 0


def test_the_loss_after_is_that_under_temperatures_of_other_images() -> None:
    answers = drawn(3)
    found = uncertainty(["a", "b", "c"], calibrate(answers, "so"), answers, None)["calibration"]
    expected = calibrated_losses(answers.logits, answers.labels, answers.groups).mean()
    assert found["validation"]["loss"]["after"] == pytest.approx(expected)
    # Test images gave no temperature, so theirs is that of the model.
    plain = log_losses(answers.logits / found["temperature"], answers.labels).mean()
    assert found["test"]["loss"]["after"] == pytest.approx(plain)
