import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.tuning.prior import EARLIER, FIRST, PRIOR, PRIOR_PROPOSALS, PriorSampler, draw, source_of

PRIORS = {
    "rate": {"centre": 1e-3, "width": 0.3},
    "whole": {"centre": 2.0, "width": 1.0},
    "choice": {"a": 3.0, "b": 1.0},
}


def drawn(distribution, entry, count=400):
    random = np.random.default_rng(0)
    return [draw(entry, distribution, random) for _ in range(count)]


def asked(number, seed=5):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=PriorSampler(PRIORS, seed, number))
    trial = study.ask()
    trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    trial.suggest_categorical("choice", ["a", "b"])
    trial.suggest_float("free", 0, 1)
    return trial.params


def test_the_prior_s_share_is_never_more_than_half_and_ends():
    for earlier, first in ((0, 0), (2, 0), (0, 5), (4, 10)):
        sources = [source_of(n, "tpe", earlier=earlier, first=first, prior=True) for n in range(80)]
        given = earlier + first
        assert sources[:given] == [EARLIER] * earlier + [FIRST] * first
        after = sources[given:]
        for end in range(1, len(after) + 1):
            assert after[:end].count(PRIOR) <= end / 2
        assert after[:PRIOR_PROPOSALS].count(PRIOR) == PRIOR_PROPOSALS / 2
        assert set(after[PRIOR_PROPOSALS:]) == {"tpe"}


def test_without_a_prior_the_sampler_has_all():
    assert {source_of(n, "random") for n in range(40)} == {"random"}


def test_a_proposal_follows_from_seed_and_number_alone():
    assert asked(3) == asked(3)
    assert asked(3) != asked(4)
    assert asked(3) != asked(3, seed=6)


@pytest.mark.parametrize("centre", [1e-5, 1e-3, 1e-1])
def test_a_logarithmic_number_scatters_in_decades_and_keeps_to_its_range(centre):
    values = drawn(FloatDistribution(1e-5, 1e-1, log=True), {"centre": centre, "width": 0.3})
    assert min(values) >= 1e-5
    assert max(values) <= 1e-1
    inside = np.abs(np.log10(values) - np.log10(centre)) < 0.6
    assert inside.mean() > 0.93


def test_a_linear_number_scatters_in_its_own_unit():
    values = drawn(FloatDistribution(0.0, 0.5), {"centre": 0.1, "width": 0.05})
    assert min(values) >= 0
    assert max(values) <= 0.5
    assert np.mean(values) == pytest.approx(0.1, abs=0.02)


def test_a_whole_number_takes_every_value_of_its_range():
    values = drawn(IntDistribution(1, 4), {"centre": 2.0, "width": 1.5})
    assert set(values) == {1, 2, 3, 4}
    assert all(type(value) is int for value in values)
    wide = drawn(IntDistribution(1, 100, log=True), {"centre": 10.0, "width": 0.5})
    assert min(wide) >= 1
    assert max(wide) <= 100


def test_a_number_keeps_to_its_steps():
    values = drawn(FloatDistribution(0.0, 1.0, step=0.25), {"centre": 0.5, "width": 0.5})
    assert set(values) == {0.0, 0.25, 0.5, 0.75, 1.0}


def test_choices_come_by_their_weights():
    values = drawn(CategoricalDistribution(["a", "b", "c"]), {"a": 3.0, "b": 1.0})
    assert "c" not in values
    assert values.count("a") / len(values) == pytest.approx(0.75, abs=0.07)


def test_what_has_no_prior_is_uniform():
    values = [asked(number)["free"] for number in range(60)]
    assert np.histogram(values, bins=4, range=(0, 1))[0].min() > 5


def test_a_very_narrow_prior_far_from_an_end_does_not_fail():
    values = drawn(FloatDistribution(0.0, 1.0), {"centre": 1.0, "width": 1e-9}, 20)
    assert min(values) > 0.99
