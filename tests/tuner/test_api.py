import importlib.util
import subprocess
import sys

import pytest

import tuner


def test_importing_the_functions_imports_nothing_heavy():
    heavy = "{'torch', 'ray', 'optuna', 'pandas'}"
    code = f"import sys; from tuner import compare, retrain, search; print(set(sys.modules) & {heavy})"
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
