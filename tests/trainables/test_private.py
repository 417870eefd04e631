import os
import stat

import pytest

from trainables import private
from trainables.data import cache_home
from trainables.errors import DataProblem
from trainables.private import private_folder
from trainables.storage import Bucket


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(private.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path / f"tuner-{os.getuid()}"


def test_it_is_made_for_its_user_alone_and_found_again(place):
    assert private_folder() == private_folder() == place
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_what_others_may_enter_is_refused(place):
    place.mkdir(mode=0o755)
    place.chmod(0o755)
    with pytest.raises(PermissionError, match="others may enter"):
        private_folder()


@pytest.mark.parametrize("kind", ["link", "file", "somebody else's"])
def test_what_somebody_else_made_is_refused(place, tmp_path, kind, monkeypatch):
    if kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        place.write_text("x")
    else:
        place.mkdir(mode=0o700)
        mine = os.getuid()
        monkeypatch.setattr(private.os, "getuid", lambda: mine + 1)
        place.rename(tmp_path / f"tuner-{mine + 1}")
    with pytest.raises(PermissionError, match="no folder of this user's own"):
        private_folder()


def test_a_buckets_scratch_folder_is_the_users_own(place, tmp_path):
    folder = Bucket(tmp_path, f"file://{tmp_path}/bucket").enter("t")
    assert place in folder.parents
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.parametrize("home", [None, "/", "file"])
def test_a_user_without_a_home_that_can_be_written_has_a_cache_all_the_same(
    place, tmp_path, monkeypatch, home
):
    (tmp_path / "file").write_text("x")
    for name in ("TUNER_CACHE_DIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is None:
        monkeypatch.setattr("os.path.expanduser", lambda path: path)
    else:
        monkeypatch.setenv("HOME", str(tmp_path / home))
    if home == "/":
        monkeypatch.setenv("HOME", "/")
        monkeypatch.setattr("trainables.data.os.access", lambda *_: False)
    assert cache_home() == place / "cache"


def test_a_cache_that_can_be_nowhere_is_told_in_a_sentence(place, monkeypatch):
    monkeypatch.delenv("TUNER_CACHE_DIR")
    monkeypatch.setattr("trainables.data._usual", lambda: None)
    place.write_text("x")
    with pytest.raises(DataProblem, match="set TUNER_CACHE_DIR"):
        cache_home()
