import pytest
import ray
from pictures import write_pictures
from searches import WITH_PRIOR, config, shared_ray
from tiny import write_space

from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepare


@pytest.fixture
def two_cores():
    """A real Ray with two cores, which the tests that ask for it one after the other share."""
    shared_ray()


def pytest_runtest_teardown(item, nextitem):
    """End the shared Ray as soon as the next test does not share it: the files with such tests stand together."""
    if "two_cores" in item.fixturenames and "two_cores" not in getattr(nextitem, "fixturenames", ()):
        ray.shutdown()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Folder of three classes of tiny pictures."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    write_pictures(folder, {"blue": 24, "green": 24, "red": 20})
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """An undisturbed search whose test images were gone or unreadable before its first trial."""
    folder = tmp_path_factory.mktemp("finished")
    images = folder / "pictures"
    write_pictures(images, {"blue": 24, "green": 24, "red": 20})
    prepared = prepare(config(folder, images, write_space(folder, WITH_PRIOR)))
    split = prepared.run.split()
    for number, path in enumerate(split.loc[split["split"] == "test", "path"]):
        (images / path).unlink() if number % 2 else (images / path).write_bytes(b"poison")
    shared_ray()
    with prepared.run.owned():
        return execute(prepared)
