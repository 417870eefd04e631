import pytest
import ray
from pictures import write_pictures

from tuner.cluster.environment import ray_environment


@pytest.fixture(scope="module")
def two_cores():
    """A real Ray with two cores that the searches of these tests share; it goes on for the next file that asks for it.

    `tests/conftest.py` ends it before a test that does not.
    """
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


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Folder of three classes of tiny pictures."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    write_pictures(folder, {"blue": 24, "green": 24, "red": 20})
    return folder
