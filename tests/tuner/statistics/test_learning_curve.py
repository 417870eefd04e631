import numpy as np
import pytest

from tuner.statistics.learning_curve import SHARES, Point, fit_curve


def law(share, exponent, floor, level=0.5):
    return level * (floor + (1 - floor) * share**-exponent)


def points(exponent, floor, *, images=400, spread=0.3, luck=0.0, seed=0):
    """Losses of images that differ from one another by as much at every size; draws differ by luck."""
    random = np.random.default_rng(seed)
    own = random.normal(0, spread, images)
    draws = {0.125: 4, 0.25: 4, 0.5: 2, 1.0: 1}
    return [
        Point(share, np.stack([own + law(share, exponent, floor) + random.normal(0, luck) for _ in range(n)]))
        for share, n in draws.items()
    ]


@pytest.mark.parametrize(("exponent", "floor"), [(0.3, 0.0), (0.5, 0.4), (0.7, 0.1)])
def test_twice_the_images_gain_what_the_power_law_says(exponent, floor):
    found = fit_curve(points(exponent, floor, luck=1e-4), np.arange(400))
    truth = law(1.0, exponent, floor) - law(2.0, exponent, floor)
    assert found.doubled.mean == pytest.approx(truth, rel=0.25)
    assert found.doubled.low <= truth * 1.1
    assert found.doubled.high >= truth * 0.9


def test_what_images_have_in_common_at_all_sizes_does_not_widen_the_gain():
    found = fit_curve(points(0.5, 0.2, images=60, spread=2.0, luck=1e-3), np.arange(60))
    assert found.doubled.high - found.doubled.low < 0.1


def test_draws_that_differ_make_the_interval_wide():
    sure, unsure = (fit_curve(points(0.5, 0.2, luck=luck), np.arange(400)).doubled for luck in (1e-4, 0.2))
    assert unsure.high - unsure.low > 1.5 * (sure.high - sure.low)


def test_a_flat_curve_promises_next_to_nothing():
    found = fit_curve(points(0.5, 1.0, luck=1e-3), np.arange(400))
    assert abs(found.doubled.mean) < 0.005


def lifelike(slope, seed, luck=0.003):
    """Losses whose means fall or rise by `slope`, of images that differ much and of draws that differ a little."""
    random = np.random.default_rng(seed)
    own, draws = random.exponential(0.4, 200), (4, 4, 2, 1)

    def draw(level):
        return own * level * (1 + random.normal(0, luck)) + random.normal(0, 0.05, 200)

    return [
        Point(share, np.stack([draw(level) for _ in range(n)]))
        for share, level, n in zip(SHARES, slope, draws, strict=True)
    ]


@pytest.mark.parametrize("slope", [(1, 1, 1, 1), (1, 1.03, 1.06, 1.09), (1.1, 1.0, 0.95, 1.0)])
def test_a_curve_that_does_not_fall_promises_no_sure_gain(slope):
    """A law that can only fall, and losses that are taken for as exact as their draws agree, were sure of one."""
    found = [fit_curve(lifelike(slope, seed), np.arange(200)).doubled for seed in range(20)]
    assert sum(one.low > 0 for one in found) <= 4


def test_a_curve_that_falls_as_a_power_law_promises_a_sure_gain():
    found = [fit_curve(lifelike((1.6, 1.4, 1.2, 1.0), seed), np.arange(200)).doubled for seed in range(20)]
    assert all(one.low > 0 for one in found)


def test_two_sizes_are_no_curve():
    with pytest.raises(ValueError, match="three sizes"):
        fit_curve(points(0.5, 0.0)[2:], np.arange(400))
    assert SHARES[-1] == 1
