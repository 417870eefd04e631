"""CONTRIBUTING.md followed literally: a strategy in one file, in a copy of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import write_pictures

ROOT = Path(__file__).resolve().parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SHOWN = re.search(
    r"<!-- (\S+\.py) -->\n```python\n(.*?)^```\n\n```sh\n(.*?)^```", CONTRIBUTING, re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The packages and the tests of strategies with the file that CONTRIBUTING.md shows, and nothing else changed."""
    folder = tmp_path_factory.mktemp("contributed")
    for name in ("tuner", "search_spaces", "trainables"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "tests" / "trainables").mkdir(parents=True)
    for name in ("tests/trainables/strategies", *(str(p.relative_to(ROOT)) for p in ROOT.glob("tests/*.py"))):
        copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copied(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    target = folder / SHOWN[1]
    assert not target.exists()
    target.write_text(SHOWN[2], encoding="utf-8")
    return folder


def run(folder, *words):
    """What `python -m ...` prints with the copy's packages."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "TUNER_CACHE_DIR": str(folder / "cache")}
    result = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_page_shows_a_file_and_the_commands_that_know_it():
    assert SHOWN[1] == "trainables/strategies/last_stage.py"
    words = [line.split()[:2] for line in SHOWN[3].splitlines()]
    assert words == [["tuner", "models"], ["tuner", "spaces"], ["tuner", "plan"], ["pytest", "-n"]]


def test_models_lists_the_new_strategy(copy):
    rows = json.loads(run(copy, "tuner", "models", "resnet18", "--json"))["strategies"]
    mine = next(row for row in rows if row["strategy"] == "last_stage")
    whole = next(row for row in rows if row["strategy"] == "full")
    assert 0 < mine["trainable_first"] == mine["trainable_last"] < whole["trainable_first"]


def test_a_space_of_all_that_fits_searches_it(copy):
    parameters = json.loads(run(copy, "tuner", "spaces", "all_models", "--json"))["parameters"]
    named = {row["parameter"]: row["choices"] for row in parameters}
    assert "last_stage" in named["strategy@resnet18"]


@pytest.mark.slow
def test_the_plan_times_it(copy):
    space = '"""One."""\n\n\ndef space(trial):\n    trial.suggest_float("learning_rate", 1e-4, 1e-3)\n'
    space += '    return {"model": "resnet18", "strategy": "last_stage", "batch_size": 8}\n'
    (copy / "one.py").write_text(space, encoding="utf-8")
    write_pictures(copy / "pictures", {"blue": 12, "green": 12})
    words = ["--space", "./one.py", "--samples", "2", "--max-epochs", "4", "--image-size", "32", "--json"]
    words += ["--data", "./pictures", "--weights", "none"]
    found = json.loads(run(copy, "tuner", "plan", *words))
    assert [(row["model"], row["strategy"]) for row in found["combinations"]] == [("resnet18", "last_stage")]
    assert found["combinations"][0]["full_s"] > 0


@pytest.mark.slow
def test_the_contract_tests_run_over_it(copy):
    chosen = ["tests/trainables/strategies", "-k", "last_stage and resnet18"]
    said = run(copy, "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *chosen)
    assert re.search(r"^[1-9]\d* passed", said, re.MULTILINE), said
