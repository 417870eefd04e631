import dataclasses
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from fake_run import make_run

import tuner
from tuner import api
from tuner.dataset.config import DataConfig


def test_importing_the_functions_imports_nothing_heavy():
    heavy = "{'torch', 'ray', 'optuna', 'pandas'}"
    names = ", ".join(name for name in tuner.__all__ if name.islower())
    code = f"import sys; from tuner import {names}; print(set(sys.modules) & {heavy})"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )


@pytest.mark.parametrize("name", tuner.__all__)
def test_no_room_is_named_like_a_public_function(name):
    assert callable(getattr(tuner, name))
    assert importlib.util.find_spec(f"tuner.{name}") is None


def test_an_unknown_option_is_a_type_error():
    from tuner import search

    with pytest.raises(TypeError, match="sample"):
        search("googlenet_full", sample=3)


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="serach"):
        tuner.serach  # noqa: B018


FUNCTIONS = [name for name in tuner.__all__ if name.islower()]


def test_the_functions_are_those_of_the_commands():
    commands = (
        "advise",
        "compare",
        "export",
        "export --int8",
        "plan",
        "predict",
        "probe",
        "release",
        "resume",
        "retrain",
        "search",
    )
    # `tuner.release` is the room that does it.
    named = [name.removesuffix("_model").replace("_", " --") for name in FUNCTIONS]
    assert named == list(commands)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_documented_with_an_example(name):
    text = inspect.getdoc(getattr(tuner, name))
    assert ">>> " in text
    assert f"tuner.{name}(" in text


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_and_result_has_a_type(name):
    signature = inspect.signature(getattr(tuner, name))
    kinds = [one.annotation for one in signature.parameters.values()] + [signature.return_annotation]
    assert inspect.Signature.empty not in kinds


@pytest.mark.parametrize("package", ["tuner", "search_spaces", "trainables"])
def test_the_packages_say_that_they_are_typed(package):
    assert (Path(importlib.util.find_spec(package).origin).parent / "py.typed").is_file()


@pytest.mark.parametrize(
    ("options", "config", "own"),
    [
        (api.SearchOptions, (tuner.SearchConfig, DataConfig), {"space", "data", "folder"}),
        (api.RetrainOptions, (tuner.RetrainConfig,), {"best"}),
    ],
)
def test_the_options_are_the_fields_of_the_config(options, config, own):
    """A field that is added to the config belongs into the TypedDict of `tuner.api` too."""
    fields = [field.name for one in config for field in dataclasses.fields(one)]
    assert set(options.__annotations__) == set(fields) - own
    assert len(fields) == len(set(fields))


def test_export_takes_strings_and_returns_what_it_wrote(tmp_path):
    run = make_run(tmp_path / "run", samples=3)
    with pytest.raises(tuner.UnknownName, match="nobody"):
        tuner.export(str(run.path), "nobody", out=str(tmp_path / "best.yaml"))
    with pytest.raises(tuner.RunProblem, match="elsewhere"):
        tuner.export(str(tmp_path / "elsewhere"))


def test_resume_says_that_a_folder_is_no_run(tmp_path):
    with pytest.raises(tuner.RunProblem, match="not a run directory"):
        tuner.resume(str(tmp_path))


def test_predict_says_that_a_model_is_missing(tmp_path):
    with pytest.raises(tuner.UserMistake, match="holds no image file"):
        tuner.predict(tmp_path / "model", str(tmp_path))


def test_predictions_are_rows_a_table_and_a_file(tmp_path):
    answers = (tuner.Prediction("a.jpg", (0.25, 0.75)), tuner.Prediction("b.jpg", None, "is no image"))
    found = tuner.Predictions(("early", "class"), answers)
    assert list(found.table.columns) == ["path", "class", "probability", "error", "early", "class class"]
    assert found.rows[0]["class"] == "class"
    assert found.rows[1]["error"] == "is no image"
    found.write(str(tmp_path / "answers.csv"))
    assert (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()[0].startswith("path,class")
