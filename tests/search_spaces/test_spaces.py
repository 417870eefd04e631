import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

import search_spaces
from search_spaces import Space, common
from search_spaces._checking import random_study
from search_spaces._configure import Trial, field_of
from trainables import models, strategies
from trainables.config import FIELDS, TrialConfig
from trainables.errors import InvalidValue, UnknownName, UserMistake

SpaceFile = Callable[[str], str]


@pytest.fixture(params=search_spaces.names())
def space(request: pytest.FixtureRequest) -> Space:
    return search_spaces.load(request.param)


@pytest.fixture
def written(tmp_path: Path) -> SpaceFile:
    def write(text: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(text)
        return str(path)

    return write


def samples(space: Space, max_epochs: int, count: int = 60) -> list[TrialConfig]:
    study = random_study()
    return [search_spaces.configure(space, study.ask(), {"max_epochs": max_epochs}, {}) for _ in range(count)]


def refusal(reference: str, grace_period: int = 1, **overrides: int) -> str:
    with pytest.raises(UserMistake) as caught:
        search_spaces.check(search_spaces.load(reference), overrides, {}, grace_period)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_names_are_known_without_torch_or_optuna():
    code = (
        "import sys, search_spaces; [search_spaces.load(n) for n in search_spaces.names()];"
        " sys.exit(bool({'torch', 'optuna', 'ray'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_six_spaces_are_there():
    known = {"auto", "googlenet_full", "googlenet_grid", "imbalance", "backbones", "all_models"}
    assert set(search_spaces.names()) == known


@pytest.mark.parametrize("max_epochs", [2, 3, 4, 7, 10, 30])
def test_every_space_passes_its_check_at_the_default_grace_period(space: Space, max_epochs: int):
    search_spaces.check(space, {"max_epochs": max_epochs}, {}, common.usual_grace(max_epochs))


@pytest.mark.parametrize("max_epochs", [4, 10])
def test_every_space_leaves_room_for_a_grace_period_of_two(space: Space, max_epochs: int):
    search_spaces.check(space, {"max_epochs": max_epochs}, {}, 2)
    for config in samples(space, max_epochs):
        whole_from = strategies.last_unfreeze(config, models.num_stages(config.model))
        assert max_epochs - whole_from + 1 >= 2, config


def test_every_sample_is_a_config_of_known_models_and_strategies(space: Space):
    for config in samples(space, 10):
        models.check(config.model)
        strategies.check(config.strategy, config.model)
        assert config.max_epochs == 10


def test_sampled_names_are_flat_and_fill_fields(space: Space):
    for ask in (random_study().ask() for _ in range(30)):
        restricted = Trial(ask, space.name, {})
        space.draw(restricted, 10)
        for name in restricted.asked:
            assert "/" not in name
            assert field_of(name) in FIELDS


def test_a_name_keeps_its_choices_and_its_range(space: Space):
    study = random_study()
    seen: dict[str, optuna.distributions.BaseDistribution] = {}
    for trial in (study.ask() for _ in range(200)):
        search_spaces.configure(space, trial, {"max_epochs": 10}, {})
        for name, distribution in trial.distributions.items():
            # Optuna refuses other choices under one name, and its TPE loses a range that moves.
            assert seen.setdefault(name, distribution) == distribution


def test_a_space_pickles_by_its_reference(space: Space):
    again = pickle.loads(pickle.dumps(space))
    assert (again.reference, again.summary, again.defaults) == (
        space.reference,
        space.summary,
        space.defaults,
    )
    assert len(pickle.dumps(space)) < 200


def test_every_space_has_a_summary_of_one_line_and_its_defaults(space: Space):
    assert space.summary.endswith(".")
    assert {"samples", "max_epochs"} <= set(space.defaults)


def test_published_rows_name_fields_and_match_what_a_grid_runs(space: Space):
    assert all(set(row.parameters) <= set(FIELDS) for row in space.published)
    if not space.grid:
        return
    configs = [
        search_spaces.configure(space, optuna.trial.FixedTrial(given), {}, {})
        for given in search_spaces.first_trials(space, 10, {})
    ]
    matched = [
        [row.name for row in space.published if all(getattr(c, k) == v for k, v in row.parameters.items())]
        for c in configs
    ]
    assert all(len(names) <= 1 for names in matched)
    assert sum(map(len, matched)) == {"googlenet_grid": 10, "imbalance": 2, "backbones": 5}[space.name]


def test_googlenet_full_reaches_every_strategy_and_its_own_parameters_only():
    configs = samples(search_spaces.load("googlenet_full"), 10, 200)
    assert {c.strategy for c in configs} == set(strategies.names()) - {"linear_probe"}
    assert all((c.unfreeze_at is None) == (not c.strategy.endswith("_unfreeze")) for c in configs)
    assert all((c.plateau_factor is None) == (c.schedule != "plateau") for c in configs)
    assert {c.strategy for c in samples(search_spaces.load("googlenet_full"), 1)} == {
        *("full", "full_aux", "feature_extractor", "layerwise")
    }


def test_a_space_has_linear_probes_once_it_names_them(tmp_path):
    (tmp_path / "probing.py").write_text(
        "from search_spaces import common\n"
        "def space(trial, max_epochs):\n"
        "    trial.suggest_categorical('model', ['resnet18'])\n"
        "    common.suggest_strategy(trial, 'resnet18', max_epochs, also=('linear_probe',))\n"
    )
    configs = samples(search_spaces.load(str(tmp_path / "probing.py")), 10, 60)
    probes = [config for config in configs if config.strategy == "linear_probe"]
    assert 1e-4 <= min(one.probe_l2 for one in probes) < max(one.probe_l2 for one in probes) <= 1


def test_all_models_reaches_every_pair_that_fits():
    seen = {(c.model, c.strategy) for c in samples(search_spaces.load("all_models"), 10, 600)}
    assert seen == {(m, s) for m in models.names() for s in common.fitting_strategies(m, 10)}
    assert "study_unfreeze" not in {strategy for _, strategy in seen}
    assert {model for model, strategy in seen if strategy == "full_aux"} == {"googlenet"}


@pytest.mark.parametrize("max_epochs", [*range(1, 13), 20, 50])
def test_the_latest_unfreeze_at_leaves_room_and_the_next_would_not_or_is_past_half(max_epochs: int):
    room = max(2 if max_epochs >= 4 else 1, common.usual_grace(max_epochs))
    for strategy in ("gradual_unfreeze", "staged_unfreeze"):
        latest = common.latest_unfreeze_at(strategy, "vgg16", max_epochs)
        if latest:
            assert common.last_unfreeze(strategy, "vgg16", latest) - 1 + room <= max_epochs
        if latest < max(1, max_epochs // 2):
            assert common.last_unfreeze(strategy, "vgg16", latest + 1) - 1 + room > max_epochs


def test_the_usual_grace_period_is_three_tenths_of_the_epochs_from_one_to_ten():
    lengths = {1: 1, 4: 1, 5: 2, 8: 2, 10: 3, 12: 4, 20: 6, 30: 9, 50: 10}
    assert {epochs: common.usual_grace(epochs) for epochs in lengths} == lengths


def test_allowed_names_narrow_the_choices_in_their_order():
    space = search_spaces.load("all_models")
    allowed = {"model": ("vgg16", "resnet18"), "strategy": ("full", "feature_extractor")}
    study = random_study()
    configs = [search_spaces.configure(space, study.ask(), {"max_epochs": 4}, allowed) for _ in range(40)]
    assert {c.model for c in configs} == {"vgg16", "resnet18"}
    assert {c.strategy for c in configs} == {"full", "feature_extractor"}
    choices = study.trials[0].distributions["model"].choices
    assert choices == ("resnet18", "vgg16")
    assert {p["model"] for p in search_spaces.first_trials(space, 4, allowed)} == {"vgg16", "resnet18"}


def test_choices_that_are_not_allowed_are_refused_with_both_sides_named():
    space = search_spaces.load("googlenet_full")
    with pytest.raises(InvalidValue, match=r"--models vgg16 leaves none .* 'googlenet_full': googlenet"):
        search_spaces.check(space, {}, {"model": ("vgg16",)}, 1)
    constant = search_spaces.load("imbalance")
    with pytest.raises(
        InvalidValue, match=r"'imbalance' uses model 'resnet50', which --models vgg16 does not"
    ):
        search_spaces.check(constant, {}, {"model": ("vgg16",)}, 1)
    with pytest.raises(InvalidValue, match="none of the 11 trials"):
        search_spaces.check(search_spaces.load("googlenet_grid"), {}, {"strategy": ("staged_unfreeze",)}, 1)


def test_a_runs_settings_win_over_constants_but_not_over_what_is_sampled(written: SpaceFile):
    space = search_spaces.load(
        written(
            '"""Mine."""\n'
            "defaults = {'samples': 3, 'batch_size': 8, 'image_size': 64}\n"
            "def space(trial):\n"
            "    trial.suggest_float('learning_rate', 1e-4, 1e-2, log=True)\n"
            "    return {'model': 'resnet18', 'strategy': 'full', 'patience': 2}\n"
        )
    )
    ask = random_study().ask
    assert search_spaces.configure(space, ask(), {}, {}).batch_size == 8
    config = search_spaces.configure(space, ask(), {"batch_size": 4, "patience": 1, "max_epochs": 2}, {})
    assert (config.batch_size, config.patience, config.max_epochs) == (4, 1, 2)
    with pytest.raises(
        InvalidValue, match=r"learning_rate=0\.1 is set for the run, but space '.*mine.py' samples"
    ):
        search_spaces.configure(space, ask(), {"learning_rate": 0.1}, {})


HEAD = "def space(trial):\n    trial.suggest_float('dropout', 0.0, 0.5)\n"
TAIL = "    return {'model': 'resnet18', 'strategy': 'full'}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def space(trial:\n", ["mine.py", "SyntaxError", "line 1"]),
        ("x = 1\ny = 1 / 0\n", ["mine.py", "ZeroDivisionError", "line 2"]),
        ("x = 1\n", ["no function 'space(trial)'"]),
        ("def space(a, b, c): ...\n", ["3 arguments"]),
        ("defaults = {'samples': 0}\n" + HEAD + TAIL, ["defaults", "samples"]),
        ("def space(trial):\n    raise KeyError('boo')\n", ["mine.py'", "KeyError", "boo", "line 2"]),
        (HEAD + "    trial.suggest_float('lerning_rate', 1, 2)\n" + TAIL, ["lerning_rate", "'learning_rate'"]),
        (HEAD + "    trial.suggest_float('gamma', 0.1, 0.2)\n"
         + "    trial.suggest_categorical('schedule', ['cosine'])\n" + TAIL, ["gamma", "no meaning", "cosine"]),
        (HEAD + "    trial.suggest_int('batch_size', 0, 0)\n" + TAIL, ["batch_size=0", "outside 1 to"]),
        (HEAD + "    return {'model': 'resnet81', 'strategy': 'full'}\n", ["resnet81", "did you mean 'resnet18'"]),
        (HEAD + "    return {'model': 'vgg16', 'strategy': 'full_aux'}\n", ["full_aux", "vgg16", "googlenet"]),
        (HEAD + "    return {'model': 'vgg16'}\n", ["needs a strategy"]),
        (HEAD + "    return {'model': 'vgg16', 'strategy': 'full', 'dropout': 0.1}\n", ["dropout twice"]),
        (HEAD + TAIL + "first_trials = [{'dropout': 0.9}]\n", ["first trial 1", "dropout=0.9", "outside 0 to 0.5"]),
        (HEAD + TAIL + "first_trials = [{}, {'dropout': 'x'}]\n", ["first trial 2", "dropout='x'"]),
        (HEAD + TAIL + "first_trials = [{'gamma': 0.1}]\n", ["first trial 1", "does not ask for gamma"]),
        (HEAD + TAIL + "first_trials = [{'dropuot': 0.1}]\n", ["first trial 1", "'dropuot'", "'dropout'"]),
        (HEAD + TAIL + "first_trials = 3\n", ["first_trials must be a list"]),
        ("def space(trial):\n    trial.suggest_categorical('model', ['resnet18'])\n    return {'strategy': 'full'}\n"
         "first_trials = [{'model': 'vgg16'}]\n", ["first trial 1", "'vgg16' is none of resnet18"]),
        ("def space(trial):\n    trial.suggest_int('batch_size', 8, 64, step=8)\n" + TAIL
         + "first_trials = [{'batch_size': 12}]\n", ["batch_size=12", "8 plus a multiple of 8"]),
        ("def space(trial):\n    trial.suggest_int('batch_size', 8, 64)\n" + TAIL
         + "first_trials = [{'batch_size': 8.5}]\n", ["batch_size=8.5", "whole number"]),
    ],
)  # fmt: skip
def test_a_space_that_can_not_be_searched_is_refused_in_one_line(
    written: SpaceFile, text: str, words: list[str]
):
    message = refusal(written(text))
    for word in words:
        assert word in message


def test_an_unfreeze_without_room_for_one_rung_is_refused_with_the_numbers(written: SpaceFile):
    reference = written(
        "def space(trial):\n    return {'model': 'resnet18', 'strategy': 'gradual_unfreeze', 'unfreeze_at': 3}\n"
    )
    message = refusal(reference, grace_period=3, max_epochs=5)
    for words in ("unfreeze_at=3", "from epoch 4", "grace period of 3", "epoch 6", "max_epochs is 5"):
        assert words in message
    search_spaces.check(search_spaces.load(reference), {"max_epochs": 6}, {}, 3)


def test_a_first_trial_may_leave_parameters_to_the_sampler(written: SpaceFile):
    reference = written(HEAD + TAIL + "first_trials = [{}, {'dropout': 0.5}]\n")
    space = search_spaces.load(reference)
    search_spaces.check(space, {}, {}, 1)
    assert len(search_spaces.first_trials(space, 10, {})) == 2


def test_a_space_in_a_file_knows_max_epochs_and_pickles(written: SpaceFile):
    reference = written(
        '"""A summary.\n\nMore."""\n'
        "def space(trial, max_epochs):\n"
        "    return {'model': 'resnet18', 'strategy': 'gradual_unfreeze', 'unfreeze_at': max_epochs // 2}\n"
        "def first_trials(max_epochs):\n    return [{}] * max_epochs\n"
    )
    space = pickle.loads(pickle.dumps(search_spaces.load(reference)))
    assert (space.name, space.summary) == ("mine", "A summary.")
    assert search_spaces.configure(space, random_study().ask(), {"max_epochs": 8}, {}).unfreeze_at == 4
    assert len(search_spaces.first_trials(space, 3, {})) == 3


def test_an_unknown_space_is_answered_with_a_near_one():
    with pytest.raises(UnknownName, match="did you mean 'googlenet_full'"):
        search_spaces.load("googlenet_fool")
    with pytest.raises(UserMistake, match="no such file"):
        search_spaces.load("./nowhere.py")


def test_a_check_leaves_optunas_logging_as_it_was(capfd: pytest.CaptureFixture[str]):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    search_spaces.check(search_spaces.load("imbalance"), {}, {}, 1)
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert capfd.readouterr() == ("", "")
