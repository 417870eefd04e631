import numpy as np
from tiny import write_space

from tuner.planning.pool import make_pool
from tuner.tuning.config import resolve, search_config

SPACE = '''"""Two strategies and one first trial; the prior knows one of the strategies."""


def space(trial):
    trial.suggest_categorical("strategy", ["full", "feature_extractor"])
    trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    return {"model": "resnet18"}


first_trials = [{"strategy": "full", "learning_rate": 0.05}]
prior = {"strategy": {"feature_extractor": 1}, "learning_rate": {"centre": 1e-3, "width": 0.1}}
'''


def order(folder, samples, prior):
    settings = resolve(search_config(space=str(write_space(folder, SPACE)), samples=samples))
    return make_pool(settings, prior=prior).order(samples, np.random.default_rng(0))


def test_simulated_searches_try_first_trials_and_the_prior_s_share(tmp_path):
    tried = order(tmp_path, 41, prior=True)
    assert len(tried) == 41
    assert tried[0].learning_rate == 0.05
    assert {config.strategy for config in tried[2:21:2]} == {"feature_extractor"}
    assert all(3e-4 < config.learning_rate < 3e-3 for config in tried[2:21:2])
    assert {config.strategy for config in tried[21:]} == {"full", "feature_extractor"}


def test_without_the_prior_all_others_are_drawn_at_random(tmp_path):
    tried = order(tmp_path, 41, prior=False)
    assert tried[0].learning_rate == 0.05
    assert {config.strategy for config in tried[2:21:2]} == {"full", "feature_extractor"}
