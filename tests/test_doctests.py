"""The examples in docstrings, run as they stand."""

import doctest
import importlib
from pathlib import Path

import pytest

import tuner

ROOT = Path(__file__).resolve().parents[1]


def modules_with_examples():
    files = [
        path for name in ("tuner", "search_spaces", "trainables") for path in (ROOT / name).rglob("*.py")
    ]
    with_examples = [path for path in files if ">>> " in path.read_text(encoding="utf-8")]
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in with_examples]
    return sorted(".".join(part).removesuffix(".__init__") for part in parts)


def test_there_are_examples():
    assert {"tuner", "tuner.api", "tuner.errors"} <= set(modules_with_examples())


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_give_what_they_show(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testmod(importlib.import_module(name), extraglobs={"tuner": tuner}, optionflags=flags)
    assert found.failed == 0
