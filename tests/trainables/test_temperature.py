import numpy as np
import pytest

from trainables.metrics.answers import log_softmax
from trainables.temperature import calibrated, calibrated_losses, fit_temperature, temperatures_of_others


def answers(images, temperature, seed=0, per_group=1):
    """Logits that are `temperature` times too far apart, the truth that they were drawn with, and groups."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(images // per_group), per_group)
    honest = 2 * rng.normal(size=(images // per_group, 3))[groups]
    truth = np.array([rng.choice(3, p=row) for row in np.exp(log_softmax(honest))])
    return honest * temperature, truth, groups


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_by_which_logits_were_multiplied_is_found(temperature):
    assert fit_temperature(*answers(3000, temperature)) == pytest.approx(temperature, rel=0.06)


def test_images_that_are_all_answered_rightly_do_not_make_every_answer_certain():
    labels = np.arange(60) % 3
    temperature = fit_temperature(4 * np.eye(3)[labels], labels, np.arange(60))
    assert 0.3 < temperature < 1
    assert np.exp(log_softmax(4 * np.eye(3) / temperature)).max() < 1 - 1e-6


def test_few_groups_leave_the_temperature_nearer_to_one():
    logits, labels, _ = answers(200, 4.0)
    few = fit_temperature(logits, labels, np.arange(200) // 50)
    assert 1 < few < fit_temperature(logits, labels, np.arange(200)) < 4.5


def test_an_answer_is_too_sure_by_no_image_of_its_own_group():
    logits, labels, groups = answers(120, 3.0, per_group=4)
    found = calibrated(logits, labels, groups)
    moved = labels.copy()
    moved[groups == 7] = (labels[groups == 7] + 1) % 3
    again = calibrated(logits, moved, groups)
    assert np.array_equal(found[groups == 7], again[groups == 7])
    assert not np.array_equal(found, again)
    assert np.array_equal(found.argmax(axis=1), logits.argmax(axis=1))


def test_the_temperatures_of_others_are_those_that_calibrate():
    logits, labels, groups = answers(120, 3.0, per_group=4)
    found = temperatures_of_others(logits, labels, groups)
    assert found.shape == (120,)
    assert len({*found[groups == 7]}) == 1
    assert len({*found}) == 5
    assert np.array_equal(calibrated(logits, labels, groups), logits / found[:, None])
    assert (temperatures_of_others(logits, labels, np.zeros(120)) == 1).all()


def test_of_two_models_the_more_accurate_is_better_though_it_is_too_sure():
    logits, labels, groups = answers(600, 1.0)
    worse = logits + np.random.default_rng(1).normal(size=logits.shape)
    plain = -log_softmax(4 * logits)[range(len(labels)), labels]
    assert plain.mean() > -log_softmax(worse)[range(len(labels)), labels].mean()
    assert (
        calibrated_losses(4 * logits, labels, groups).mean() < calibrated_losses(worse, labels, groups).mean()
    )


def test_a_single_group_says_nothing_of_a_temperature():
    logits, labels, _ = answers(12, 3.0)
    assert np.array_equal(calibrated(logits, labels, np.zeros(12)), logits)
    assert len(calibrated_losses(logits, labels, np.arange(12) % 2)) == 12


def test_of_very_many_logits_a_part_fits_the_temperature(monkeypatch):
    logits, labels, groups = answers(3000, 2.0)
    whole = calibrated_losses(logits, labels, groups).mean()
    monkeypatch.setattr("trainables.temperature.MOST_LOGITS", 1500)
    assert calibrated_losses(logits, labels, groups).mean() == pytest.approx(whole, rel=0.01)
