import numpy as np
import pytest

from benchmarks.quality import calibration as benchmark
from tuner.statistics.log_loss import log_losses
from tuner.statistics.scores import softmax


def drawn(groups, temperature, seed):
    """Answers to `groups` pairs of images that are `temperature` times too confident."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(groups, 3)).repeat(2, axis=0)
    labels = np.array([rng.choice(3, p=row) for row in softmax(logits[::2])]).repeat(2)
    return benchmark.Answers(temperature * logits, labels, np.arange(groups).repeat(2).astype(str))


def test_a_split_is_judged_on_its_test_images_by_what_validation_gave():
    val, test = drawn(900, 3.0, 0), drawn(900, 3.0, 1)
    found = benchmark.judged(val, test)
    assert found["temperature"] == pytest.approx(3, rel=0.1)
    assert found["log loss before"] == pytest.approx(log_losses(test.logits, test.labels).mean())
    assert found["log loss after"] < found["log loss before"]
    assert found["ECE after"] < found["ECE before"]
    assert found["coverage"] == pytest.approx(0.9, abs=0.03)
    sizes = [found[f"size {number}"] for number in range(4)]
    assert sum(sizes) == pytest.approx(1)
    assert found["size"] == pytest.approx(np.dot(sizes, range(4)))


def test_in_the_coverage_groups_weigh_alike():
    labels = np.repeat([0, 0, 1, 2], [2, 10, 1, 1])
    named = np.where(np.arange(14) < 2, 1, labels)
    groups = np.repeat(["wrong", "right", "b", "c"], [2, 10, 1, 1])
    found = benchmark.sets(
        drawn(400, 1.0, 0), benchmark.Answers(99.0 * np.eye(3)[named], labels, groups), 1.0
    )
    assert found["coverage"] == 0.75
    assert found["coverage of images"] == pytest.approx(12 / 14)
    assert [found[f"coverage {code}"] for code in range(3)] == [0.5, 1, 1]
