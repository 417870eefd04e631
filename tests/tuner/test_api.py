import importlib
import subprocess
import sys

import pytest


def test_importing_the_functions_imports_nothing_heavy():
    heavy = "{'torch', 'ray', 'optuna', 'pandas'}"
    code = f"import sys; from tuner import compare, retrain, search; print(set(sys.modules) & {heavy})"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )


@pytest.mark.parametrize("name", ["search", "compare", "retrain"])
def test_a_name_of_the_package_stays_the_function_when_the_module_is_imported(name):
    import tuner

    module = importlib.import_module(f"tuner.{name}")
    assert callable(getattr(tuner, name))
    assert callable(getattr(module, name))


def test_an_unknown_option_is_a_type_error():
    from tuner import search

    with pytest.raises(TypeError, match="sample"):
        search("googlenet_full", sample=3)


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import tuner

    with pytest.raises(AttributeError, match="serach"):
        tuner.serach  # noqa: B018
