import pytest
from pictures import write_pictures


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Folder of three classes of tiny pictures."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    write_pictures(folder, {"blue": 24, "green": 24, "red": 20})
    return folder
