import compileall
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# One core's worth of threads a test process, and no cache of the person who runs the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Some tests list what a command left behind: what Python keeps of a space's file beside it is not the command's.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    before = os.environ.get("TUNER_CACHE_DIR")
    os.environ["TUNER_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["TUNER_CACHE_DIR"]
    else:
        os.environ["TUNER_CACHE_DIR"] = before


def pytest_configure(config):
    """Compile what every process of the tests imports, once: they keep no bytecode themselves."""
    if not hasattr(config, "workerinput"):
        for package in ("search_spaces", "trainables", "tuner"):
            compileall.compile_dir(ROOT / package, quiet=2, workers=0)


def pytest_collection_modifyitems(items):
    """The longest file first: whoever gets it works on it for more than half of the time that all tests take."""
    items.sort(key=lambda item: item.path.name != "test_search.py")
