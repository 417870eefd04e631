import compileall
import gc
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SHARED_RAY = "two_cores"
"""The fixture of files that share a Ray."""

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


@pytest.fixture(scope="module")
def two_cores():
    """A real Ray with two cores that tests share; it goes on for the next file that asks for it, and no further."""
    import ray

    from tuner.cluster.environment import ray_environment

    if ray.is_initialized():
        return
    with ray_environment(None):  # Its workers start as those of a Ray that tuner starts.
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _node_ip_address="127.0.0.1",
        )


def pytest_configure(config):
    """Compile what every process of the tests imports, once: they keep no bytecode themselves."""
    if not hasattr(config, "workerinput"):
        for package in ("search_spaces", "trainables", "tuner"):
            compileall.compile_dir(ROOT / package, quiet=2, workers=0)


def pytest_collection_modifyitems(items):
    """First the files that share a Ray, one after the other, the longest before others."""
    sharing = {item.path for item in items if SHARED_RAY in item.fixturenames}
    longest = ("test_killed.py", "test_search.py")
    items.sort(key=lambda item: (item.path not in sharing, item.path.name not in longest))


def pytest_collection_finish():
    """What the tests imported is no garbage, and those that collect any need not look through it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """A test that starts a Ray of its own, or none, finds none."""
    if SHARED_RAY not in item.fixturenames:
        _end_ray()


def pytest_sessionfinish(session):
    _end_ray()


def _end_ray():
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        sys.modules["ray"].shutdown()
