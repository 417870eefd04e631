import os

import pytest

# One core's worth of threads a test process, and no cache of the person who runs the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    before = os.environ.get("TUNER_CACHE_DIR")
    os.environ["TUNER_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["TUNER_CACHE_DIR"]
    else:
        os.environ["TUNER_CACHE_DIR"] = before


ONE_SEARCH = ("test_survive.py", "test_broken_worker.py", "test_search.py")
"""Files that look at one search, the fixture `finished`."""

ONE_RAY = (
    *("test_late_bloomer.py", "test_late_space.py", "test_budget.py", "test_readme.py", "test_tail.py"),
    "test_worker_start.py",
)
"""Files whose searches share a Ray, the fixture `two_cores`."""

LONG = (
    *("test_mongodb_search.py", "test_export_retrain_predict.py", "test_two_nodes.py", "test_dashboard.py"),
    *("test_writing.py", "test_side_effects.py", "test_examples.py", "test_bucket.py", "test_fake_gpus.py"),
    *("test_stopped_retrain.py", "test_gpu.py", "test_project.py"),
)
"""Other files that take long, the longest first."""


def pytest_collection_modifyitems(items):
    """The longest files first, so that no worker begins one when the others are through."""
    order = {name: place for place, name in enumerate((*ONE_SEARCH, *ONE_RAY, *LONG))}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file is one worker's, as `--dist loadfile` has it, and so are the files that share a search or a Ray."""
    from xdist.scheduler import LoadFileScheduling

    if config.getvalue("dist") != "loadfile":
        return None

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            for name, files in (("one search", ONE_SEARCH), ("one Ray", ONE_RAY)):
                if file.rpartition("/")[2] in files:
                    return name
            return file

    return Together(config, log)
