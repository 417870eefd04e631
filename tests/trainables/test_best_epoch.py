import numpy as np
import pytest

from trainables.best_epoch import best_epoch, smoothed


def curve(means, noise, images=40, seed=0):
    """Losses [epochs, images]: a curve, what images have in common, and each epoch's own noise."""
    random = np.random.default_rng(seed)
    hard = random.normal(size=images)
    return [value + hard + noise * random.normal(size=images) for value in means], np.arange(images)


def test_without_noise_the_best_epoch_is_the_lowest():
    losses, groups = curve([1.0, 0.5, 0.58, 0.45, 0.47, 0.46], 1e-6)
    assert best_epoch(losses, groups) == 3
    assert smoothed(losses, 3, groups).mean() == pytest.approx(losses[3].mean(), abs=1e-3)


def test_a_single_lucky_epoch_is_not_the_best_of_a_noisy_curve():
    losses, groups = curve([1.0, 0.8, 0.7, 0.6, 0.5, 0.5], 2.0)
    level = np.array([1.0, 0.45, 0.7, 0.6, 0.5, 0.5])
    losses = [one - one.mean() + value for one, value in zip(losses, level, strict=True)]
    assert best_epoch(losses, groups) == 5


def test_the_best_of_many_noisy_epochs_is_nearer_to_the_true_best_than_the_lowest():
    means, lost = 0.5 + 0.5 * np.exp(-np.arange(12) / 2), []
    for seed in range(200):
        losses, groups = curve(means, 0.5, seed=seed)
        lowest = int(np.argmin([one.mean() for one in losses]))
        lost.append((means[best_epoch(losses, groups)] - means[-1], means[lowest] - means[-1]))
    smooth, raw = np.mean(lost, axis=0)
    assert smooth < 0.8 * raw


def test_images_of_a_group_count_together():
    losses, _ = curve([0.5, 0.4, 0.5], 0.4, images=20)
    apart = [np.repeat(one, 10) for one in losses]
    together = smoothed(apart, 1, np.repeat(np.arange(20), 10))
    alone = smoothed(apart, 1, np.arange(200))
    assert together.mean() == pytest.approx(smoothed(losses, 1, np.arange(20)).mean())
    middle = (losses[0].mean() + losses[1].mean()) / 2
    assert abs(together.mean() - middle) <= abs(alone.mean() - middle)


def test_of_epochs_that_noise_does_not_tell_apart_the_latest_is_the_best():
    losses, groups = curve([0.5], 0.1)
    assert best_epoch(losses, groups) == 0
    assert best_epoch([losses[0], losses[0]], groups) == 1
    # The last epoch is a little worse than the lowest one, or beyond half a standard error.
    noisy, groups = curve([0.9, 0.5, 0.5], 0.3)
    error = (noisy[2] - noisy[1]).std(ddof=1) / np.sqrt(len(groups))
    level = noisy[2] - noisy[2].mean() + noisy[1].mean()
    assert best_epoch([*noisy[:2], level + 0.4 * error], groups) == 2
    assert best_epoch([*noisy[:2], level + 0.6 * error], groups) == 1


def test_it_can_be_told_when_an_epoch_ends():
    losses, groups = curve([1.0, 0.6, 0.5, 0.7, 0.45, 0.5, 0.9, 0.5], 0.4)
    so_far = [best_epoch(losses[: count + 1], groups) for count in range(len(losses))]
    for before, (place, now) in zip(so_far, list(enumerate(so_far))[1:], strict=False):
        assert now in (before, place)


def test_what_comes_later_does_not_change_what_an_epoch_counts():
    losses, groups = curve([1.0, 0.6, 0.5, 0.7], 0.5)
    assert smoothed(losses[:3], 2, groups).tolist() == smoothed(losses, 2, groups).tolist()


def test_epochs_before_the_first_result_are_passed_over_unless_there_are_no_others():
    losses, groups = curve([0.2, 0.6, 0.5], 1e-6)
    assert best_epoch(losses, groups) == 0
    assert best_epoch(losses, groups, first=1) == 2
    assert best_epoch(losses[:2], groups, first=1) == 1
    assert best_epoch(losses[:1], groups, first=1) == 0
    assert smoothed(losses, 1, groups, first=1).tolist() == losses[1].tolist()
    noisy, groups = curve([0.5, 0.5, 0.5], 0.4)
    assert smoothed(noisy, 1, groups).mean() != pytest.approx(noisy[1].mean())
    assert smoothed(noisy, 2, groups, first=1).tolist() == smoothed(noisy, 2, groups).tolist()
