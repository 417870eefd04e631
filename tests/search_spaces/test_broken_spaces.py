"""What a space's own code can do wrong, and numbers of other libraries in it: one line that names the file."""

import json

import pytest
import yaml
from test_spaces import HEAD, TAIL

import search_spaces
from search_spaces._checking import random_study
from search_spaces.sampling import sample_configs
from trainables.errors import UserMistake
from tuner.cli import describe
from tuner.tuning.config import resolve, search_config

LIST = "def space(trial):\n    return ['resnet18']\n"
LATE = (
    "asked = 0\n"
    "def space(trial):\n"
    "    global asked\n"
    "    asked += 1\n"
    "    trial.suggest_float('dropout', 0.0, 0.5)\n"
    "    if asked == 7:\n"
    "        raise ZeroDivisionError('seventh')\n" + TAIL
)
RETURNS = "def space(trial):\n    trial.suggest_float('dropout', 0.0, 0.5)\n    return "


def suggests(call, tail=TAIL):
    return f"import numpy as np\ndef space(trial):\n    trial.{call}\n{tail}"


DEPENDS = (
    "def space(trial):\n"
    "    few = trial.suggest_float('dropout', 0.0, 0.5) < 0.2\n"
    "    sizes = [8, 16] if few else [16, 32]\n"
    "    trial.suggest_categorical('batch_size', sizes)\n" + TAIL
)

BROKEN = {
    "a call that Optuna dropped": (
        suggests("suggest_loguniform('dropout', 1e-4, 1e-2)"),
        ["a trial has no suggest_loguniform; call suggest_float(name, low, high, log=True)", "line 3"],
    ),
    "empty choices": (suggests("suggest_categorical('model', [])"), ["choices of model", "empty"]),
    "choices that are a text": (suggests("suggest_categorical('model', 'vgg16')"), ["'vgg16'", "a list"]),
    "choices without an order": (suggests("suggest_categorical('model', {'vgg16'})"), ["type set", "a list"]),
    "choices that are lists": (suggests("suggest_categorical('model', [['vgg16']])"), ["['vgg16']", "type list"]),
    "choices of no length": (suggests("suggest_categorical('model', np.array('vgg16'))"), ["a list"]),
    "a range from NaN": (suggests("suggest_float('dropout', float('nan'), 1)"), ["dropout", "nan", "finite"]),
    "a range of texts": (suggests("suggest_float('dropout', '0', '1')"), ["dropout", "'0'", "finite"]),
    "a range the wrong way round": (suggests("suggest_float('dropout', 0.5, 0.1)"), ["0.5", "0.1", "line 3"]),
    "whole numbers from 1.5": (suggests("suggest_int('batch_size', 1.5, 8)"), ["1.5", "whole number"]),
    "a missing argument": (suggests("suggest_float('dropout')"), ["missing", "'low'"]),
    "a name twice": (
        suggests("suggest_float('dropout', 0, 0.5)", "    trial.suggest_float('dropout', 0, 0.4)\n" + TAIL),
        ["dropout is asked for twice"],
    ),
    "a name as two kinds": (
        suggests("suggest_int('batch_size', 1, 8)", "    trial.suggest_float('batch_size', 1, 8)\n" + TAIL),
        ["batch_size is asked for twice"],
    ),
    "choices that change": (
        "n = [1]\ndef space(trial):\n    n[0] += 1\n    trial.suggest_categorical('batch_size', [*n, 8])\n" + TAIL,
        ["batch_size", "the choices 2, 8", "the choices 3, 8", "batch_size@1 and batch_size@2", "line 4"],
    ),
    "choices that depend on another value": (
        DEPENDS,
        ["batch_size", "the choices 8, 16", "the choices 16, 32", "batch_size@1 and batch_size@2", "line 4"],
    ),
    "choices of first trials that depend on another": (
        DEPENDS
        + "grid = True\nfirst_trials = [{'dropout': d, 'batch_size': 16} for d in (0.1, 0.4)]\n",
        ["batch_size", "the choices 8, 16", "the choices 16, 32", "batch_size@1 and batch_size@2", "line 4"],
    ),
    "a scale that depends on another value": (
        "def space(trial):\n    few = trial.suggest_float('dropout', 0.0, 0.5) < 0.2\n"
        "    trial.suggest_float('learning_rate', 1e-4, 1e-2, log=few)\n" + TAIL,
        ["learning_rate", "the numbers 0.0001 to 0.01, log", "the numbers 0.0001 to 0.01 in", "learning_rate@1"],
    ),
    "a kind that depends on another value": (
        "def space(trial):\n    few = trial.suggest_float('dropout', 0.0, 0.5) < 0.2\n"
        "    if few:\n        trial.suggest_int('batch_size', 8, 16)\n"
        "    else:\n        trial.suggest_categorical('batch_size', [8, 16])\n" + TAIL,
        ["batch_size", "the whole numbers 8 to 16", "the choices 8, 16", "batch_size@1"],
    ),
    "a name that is no text": (suggests("suggest_float(3, 0, 1)"), ["3", "names are texts"]),
    "a list returned": (LIST, ["what space() returns must be a mapping", "['resnet18']", "list"]),
    "an empty list returned": (RETURNS + "[]\n", ["must be a mapping", "list"]),
    "a coroutine": ("async def space(trial):\n    return {}\n", ["must be a mapping", "coroutine"]),
    "nothing returned": (RETURNS + "None\n", ["needs a model and a strategy"]),
    "a constant that is a list": (RETURNS + "{'model': ['vgg16'], 'strategy': 'full'}\n", ["['vgg16']", "type list"]),
    "a constant without a name": (RETURNS + "{3: 4}\n", ["name 3", "not a text"]),
    "a model that is a number": (RETURNS + "{'model': 5, 'strategy': 'full'}\n", ["model=5", "a text"]),
    "the trial used as a mapping": (suggests("suggest_float", "    trial['x']\n"), ["not subscriptable", "line 4"]),
    "a division by zero": (HEAD + "    1 / 0\n" + TAIL, ["ZeroDivisionError", "line 3"]),
    "an exit": (HEAD + "    raise SystemExit(0)\n" + TAIL, ["SystemExit", "line 3"]),
    "an exit at import": ("import sys\nsys.exit(0)\n", ["can't be loaded", "SystemExit", "line 2"]),
    "a missing module": ("import no_such_module\n", ["can't be loaded", "no_such_module", "line 1"]),
    "a syntax error": ("def space(trial:\n", ["SyntaxError", "line 1"]),
    "a seventh proposal that raises": (LATE, ["ZeroDivisionError: seventh", "line 7"]),
    "first trials that raise": (HEAD + TAIL + "def first_trials(n):\n    return 1 / 0\n", ["first_trials", "line 5"]),
    "first trials of lists": (HEAD + TAIL + "first_trials = [{'dropout': [0.1]}]\n", ["first trial 1", "[0.1]"]),
    "first trials without names": (HEAD + TAIL + "first_trials = [{1: 0.1}]\n", ["first trial 1", "name 1"]),
    "defaults that are a list": (HEAD + TAIL + "defaults = [3]\n", ["defaults must be a mapping"]),
    "published rows of one": (HEAD + TAIL + "published = [(1,)]\n", ["ValueError"]),
    "space that is a type of C": ("space = dict\n", ["ValueError", "signature"]),
}  # fmt: skip


def lines_of_all_commands(path):
    """What `spaces`, `run` and `plan` say of the space at `path`; the last two resolve alike."""
    said = []
    for command in (describe.space, lambda reference: resolve(search_config(space=reference))):
        with pytest.raises(UserMistake) as caught:
            command(str(path))
        said.append(str(caught.value))
    return said


@pytest.mark.filterwarnings("ignore:coroutine 'space' was never awaited")
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_space_is_refused_alike_by_every_command(tmp_path, case):
    text, words = BROKEN[case]
    path = tmp_path / "broken.py"
    path.write_text(text)
    first, second = lines_of_all_commands(path)
    assert first == second
    assert "\n" not in first
    for word in (str(path), *words):
        assert word in first
    for internal in ("RestrictedTrial", "FirstTrial", "FrozenTrial", "_configure"):
        assert internal not in first


def test_the_remedy_for_choices_that_depend_on_another_value_works(tmp_path):
    path = tmp_path / "sp.py"
    path.write_text(
        DEPENDS.replace("'batch_size', sizes", "'batch_size@1' if few else 'batch_size@2', sizes")
    )
    space = search_spaces.load(str(path))
    search_spaces.check(space, {}, {}, 1)
    assert {config.batch_size for config in sample_configs(space, {}, {})} == {8, 16, 32}


def test_first_trials_do_not_change_what_is_drawn_after_them(tmp_path):
    """What a simulated search tries does not depend on how the first trials are looked at."""
    path = tmp_path / "sp.py"
    text = "def space(trial):\n    trial.suggest_float('dropout', 0.0, 0.5)\n" + TAIL
    path.write_text(text)
    bare = [config.dropout for config in sample_configs(search_spaces.load(str(path)), {}, {}, 5)]
    path.write_text(text + "first_trials = [{'dropout': 0.25}, {'dropout': 0.5}]\n")
    given = [config.dropout for config in sample_configs(search_spaces.load(str(path)), {}, {}, 7)]
    assert given == [0.25, 0.5, *bare]


def test_files_that_are_no_spaces_are_refused_alike(tmp_path):
    latin = tmp_path / "latin.py"
    latin.write_bytes('"""Größe."""\n'.encode("latin-1") + HEAD.encode() + TAIL.encode())
    nulls = tmp_path / "nulls.py"
    nulls.write_bytes(b"x = 1\0\n")
    folder = tmp_path / "folder.py"
    folder.mkdir()
    text = tmp_path / "space.txt"
    text.write_text(HEAD + TAIL)
    for path, word in ((latin, "utf-8"), (nulls, "null"), (folder, "folder"), (text, "not a Python file")):
        first, second = lines_of_all_commands(path)
        assert first == second
        assert word in first
        assert str(path) in first
    for reference in ("~nobody-of-this-name/space.py", "a\0b.py", "x" * 5000 + ".py"):
        first, second = lines_of_all_commands(reference)
        assert first == second


NUMPY = '''"""Numbers of other libraries."""
from decimal import Decimal
from fractions import Fraction

import numpy as np

defaults = {"samples": np.int64(3), "max_epochs": Decimal("4")}
published = [({"dropout": np.float64(0.25)}, np.str_("a"), np.float32(50.0))]
first_trials = [
    {"learning_rate": np.float64(1e-3), "batch_size": np.int64(8), "schedule": np.str_("step")},
    {"learning_rate": np.array(1e-2), "batch_size": Fraction(16), "weight_decay": Decimal("0.5")},
]


def space(trial):
    trial.suggest_categorical("learning_rate", np.array([1e-3, 1e-2]))
    trial.suggest_categorical("batch_size", list(np.arange(8, 24, 8)))
    trial.suggest_categorical("schedule", np.array(["step", "cosine"]))
    trial.suggest_float("weight_decay", np.float32(0), Decimal(1), step=Fraction(1, 2))
    trial.suggest_int("patience", np.int64(1), np.array(3), log=np.bool_(False))
    return {"model": np.str_("resnet18"), "strategy": "full", "dropout": np.float32(0.25), "min_delta": np.array(0)}
'''


def test_numbers_of_numpy_decimal_and_fractions_are_numbers(tmp_path):
    path = tmp_path / "sp.py"
    path.write_text(NUMPY)
    space = search_spaces.load(str(path))
    search_spaces.check(space, {}, {}, 1)
    describe.space(str(path))
    configs = list(sample_configs(space, {}, {}, 40))
    assert (configs[0].learning_rate, configs[0].batch_size, configs[0].schedule) == (1e-3, 8, "step")
    assert (configs[1].learning_rate, configs[1].batch_size, configs[1].weight_decay) == (1e-2, 16, 0.5)
    for config in configs:
        values = vars(config)
        assert {type(value) for value in values.values()} <= {int, float, str, type(None)}
        assert yaml.safe_load(yaml.safe_dump(values)) == json.loads(json.dumps(values)) == values
    assert (configs[0].dropout, configs[0].max_epochs) == (0.25, 4)
    assert dict(space.defaults) == {"samples": 3, "max_epochs": 4}
    assert space.published == (({"dropout": 0.25}, "a", 50.0),)


def test_what_optuna_remembers_of_choices_and_first_trials_is_plain(tmp_path):
    path = tmp_path / "sp.py"
    path.write_text(NUMPY)
    study = random_study()
    search_spaces.configure(search_spaces.load(str(path)), study.ask(), {}, {})
    kept = study.trials[0]
    for distribution in kept.distributions.values():
        for value in vars(distribution).get("choices", (distribution,)):
            assert type(value).__module__ != "numpy"
    assert all(type(value) in (int, float, str) for value in kept.params.values())
    for parameters in search_spaces.first_trials(search_spaces.load(str(path)), 4, {}):
        assert all(type(value) in (int, float, str) for value in parameters.values())


def test_a_name_that_is_asked_for_twice_alike_has_one_value(tmp_path):
    path = tmp_path / "sp.py"
    ask = "trial.suggest_float('dropout', 0.0, 0.5)"
    path.write_text(f"def space(trial):\n    assert {ask} == {ask}\n{TAIL}")
    search_spaces.check(search_spaces.load(str(path)), {}, {}, 1)
