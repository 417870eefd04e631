import subprocess
import sys

from tuner.cluster.environment import ALONE


def test_what_workers_import_first_is_light_and_lets_less_be_collected():
    module = ALONE["RAY_preload_python_modules"]
    asking = (
        f"import gc, sys; before = gc.get_threshold()[0]; import {module};"
        "print(gc.get_threshold()[0] > before, {'ray', 'torch', 'numpy', 'pandas'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True)
    assert told.stdout == "True set()\n", told.stderr
