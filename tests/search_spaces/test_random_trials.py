import math

import optuna
import pytest

from search_spaces._random_trials import RandomTrials

ASKED = [
    ("suggest_categorical", (["a", 2, None],), {}),
    ("suggest_float", (-1.0, 2.0), {}),
    ("suggest_float", (1e-5, 1e-1), {"log": True}),
    ("suggest_float", (0.0, 1.0), {"step": 0.25}),
    ("suggest_float", (0.5, 0.5), {}),
    ("suggest_int", (-2, 3), {}),
    ("suggest_int", (1, 1000), {"log": True}),
    ("suggest_int", (2, 11), {"step": 3}),
    ("suggest_int", (4, 4), {}),
]


def drawn(how, given, options, count=400):
    trials = RandomTrials()
    return [getattr(trials.ask(), how)("x", *given, **options) for _ in range(count)]


@pytest.mark.parametrize(("how", "given", "options"), ASKED)
def test_draws_are_what_optuna_could_have_drawn_and_always_the_same(how, given, options):
    trials, study = RandomTrials(), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    ours, theirs = trials.ask(), study.ask()
    for trial in (ours, theirs):
        getattr(trial, how)("x", *given, **options)
    assert ours.distributions == theirs.distributions
    values = drawn(how, given, options)
    assert all(ours.distributions["x"]._contains(ours.distributions["x"].to_internal_repr(v)) for v in values)
    assert values == drawn(how, given, options)
    assert {type(value) for value in values} == {type(v) for v in (given[0] if "cat" in how else given)}


@pytest.mark.parametrize(("how", "given", "options"), ASKED)
def test_draws_reach_everything(how, given, options):
    values = drawn(how, given, options)
    if "cat" in how:
        assert set(values) == set(given[0])
    elif "step" in options or (how == "suggest_int" and "log" not in options):
        assert sorted(set(values)) == [given[0] + k * options.get("step", 1) for k in range(len(set(values)))]
        assert max(values) == given[1]
    elif given[0] < given[1]:
        scale = math.log if options else float
        low, high = (scale(end) for end in given)
        parts = [int(4 * (scale(value) - low) / (high - low)) for value in values]
        assert all(80 < parts.count(quarter) < 120 for quarter in range(4))


def test_a_name_has_one_value_in_a_trial_and_others_in_others():
    trials = RandomTrials()
    one, other = trials.ask(), trials.ask()
    assert (
        one.suggest_float("x", 0.0, 1.0)
        == one.suggest_float("x", 0.0, 1.0)
        != other.suggest_float("x", 0.0, 1.0)
    )
    assert trials.get_trials() == [one, other]


@pytest.mark.parametrize(
    "ask",
    [
        lambda trial: trial.suggest_float("x", 1.0, 0.0),
        lambda trial: trial.suggest_float("x", 0.0, 1.0, log=True),
        lambda trial: trial.suggest_float("x", 0.1, 1.0, step=0.1, log=True),
        lambda trial: trial.suggest_int("x", 0, 3, log=True),
        lambda trial: trial.suggest_int("x", 3, 0),
        lambda trial: trial.suggest_categorical("x", []),
    ],
)
def test_what_optuna_refuses_is_refused_in_its_words(ask):
    said = []
    for study in (RandomTrials(), optuna.create_study()):
        with pytest.raises(ValueError, match=r"\w") as caught:
            ask(study.ask())
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_name_that_changes_from_trial_to_trial_is_refused_as_by_optuna():
    for study in (RandomTrials(), optuna.create_study()):
        study.ask().suggest_categorical("x", [1, 2])
        study.ask().suggest_categorical("x", [1, 2])
        with pytest.raises(ValueError, match="does not support dynamic value space"):
            study.ask().suggest_categorical("x", [1, 2, 3])
        study.ask().suggest_float("y", 0.0, 1.0)
        study.ask().suggest_float("y", 0.0, 2.0)
        with pytest.raises(ValueError, match="different distribution kind"):
            study.ask().suggest_int("y", 0, 2)
