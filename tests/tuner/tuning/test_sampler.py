import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from tuner.runs.optuna_private import trials_seen
from tuner.tuning.sampler import BEST_SEEN, HISTORY, InMemoryStudy, make_sampler


def study_of(num_trials: int) -> optuna.Study:
    """Two thirds pruned after a few epochs, the best complete ones spread over the whole history."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    for number in range(num_trials):
        value = (number * 37 % num_trials) / num_trials
        complete = number % 3 == 0
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if complete else TrialState.PRUNED,
                value=value if complete else None,
                params={"x": value},
                distributions={"x": FloatDistribution(0, 1)},
                intermediate_values={1 + number % 4: value},
            )
        )
    return study


def seen_by_tpe(mirror: InMemoryStudy, number: int) -> list[optuna.trial.FrozenTrial]:
    asked = mirror.ask(make_sampler("tpe", 0, number))
    asked.suggest_float("x", 0, 1)
    mirror.accept(asked, number)
    return trials_seen(asked.study)


def test_a_short_history_is_shown_whole_and_proposes_as_plain_tpe():
    study = study_of(HISTORY)
    asked = InMemoryStudy(study).ask(make_sampler("tpe", 7, HISTORY))
    seed = int(np.random.SeedSequence([7, HISTORY]).generate_state(1)[0])
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.sampler = TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
    assert asked.suggest_float("x", 0, 1) == study.ask().suggest_float("x", 0, 1)


def test_of_a_long_history_tpe_sees_the_best_and_a_fair_sample_of_the_others():
    seen = [t for t in seen_by_tpe(InMemoryStudy(study_of(900)), 900) if t.state.is_finished()]
    assert len(seen) == HISTORY
    complete = sorted(t.value for t in study_of(900).trials if t.state is TrialState.COMPLETE)
    shown = sorted(t.value for t in seen if t.state is TrialState.COMPLETE)
    assert shown[:BEST_SEEN] == complete[:BEST_SEEN]
    thirds = [sum(low <= t.number < low + 300 for t in seen) for low in (0, 300, 600)]
    assert min(thirds) > 0.8 * HISTORY / 3


def test_running_trials_are_always_seen():
    mirror = InMemoryStudy(study_of(500))
    for number in range(500, 505):
        seen = seen_by_tpe(mirror, number)
    assert sum(t.state is TrialState.RUNNING for t in seen) == 5


def test_a_reopened_study_shows_the_same_trials_though_dropped_proposals_are_gone():
    study, mirror = study_of(300), InMemoryStudy(study_of(300))
    for _ in range(7):
        mirror.drop(mirror.ask(make_sampler("tpe", 0, 300)))
    for number in range(300, 340):
        asked = mirror.ask(make_sampler("tpe", 0, number))
        value = asked.suggest_float("x", 0, 1)
        mirror.accept(asked, number)
        mirror.tell(number, TrialState.COMPLETE, value)
        study.add_trial(create_trial(value=value, params=asked.params, distributions=asked.distributions))
    values = [
        sorted(t.params["x"] for t in seen_by_tpe(one, 340) if t.state.is_finished())
        for one in (mirror, InMemoryStudy(study))
    ]
    assert values[0] == values[1]


def test_other_samplers_see_everything():
    mirror = InMemoryStudy(study_of(400))
    seen_by_tpe(mirror, 400)
    asked = mirror.ask(make_sampler("random", 0, 401))
    asked.suggest_float("x", 0, 1)
    assert len(trials_seen(asked.study)) == 402
