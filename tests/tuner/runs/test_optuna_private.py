import re
from pathlib import Path

import pytest

import tuner

ROOT = Path(tuner.__file__).parent.parent
PRIVATE = re.compile(r"\._(trial_id|study_id|get_trials|storage)\b|def _get_trials|from optuna[.\w]*\._")


@pytest.mark.parametrize("package", ["tuner", "trainables", "search_spaces", "benchmarks"])
def test_private_names_of_optuna_stand_in_one_module(package):
    files = [file for file in (ROOT / package).rglob("*.py") if file.name != "optuna_private.py"]
    assert files
    assert [file.name for file in files if PRIVATE.search(file.read_text(encoding="utf-8"))] == []
