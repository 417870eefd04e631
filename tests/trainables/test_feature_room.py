"""Room for features: what is told of a full disk, and which older files go for newer ones."""

import errno
import os
from types import SimpleNamespace

import pytest

from trainables import feature_room
from trainables.feature_room import SPARE_BYTES, evict, has_room, make_room, require_no_room, size_on_disk

KB = 1024


@pytest.fixture
def home(tmp_path):
    """Three files of 8 KB, the first used least recently."""
    for number, name in enumerate(("old", "middle", "new")):
        file = tmp_path / name / "validation.f32"
        file.parent.mkdir()
        file.write_bytes(os.urandom(8 * KB))
        os.utime(file, (number, number))
    return tmp_path


def left(home):
    return sorted(file.parent.name for file in home.glob("*/*.f32"))


def with_free(monkeypatch, home, free):
    """Let the disk have `free` bytes beside what is spared, and what is deleted below `home`."""
    whole = sum(file.stat().st_size for file in home.glob("*/*.f32"))

    def usage(folder):
        gone = whole - sum(file.stat().st_size for file in home.glob("*/*.f32"))
        return SimpleNamespace(free=SPARE_BYTES + free + gone)

    monkeypatch.setattr(feature_room.shutil, "disk_usage", usage)


@pytest.mark.parametrize(
    ("limit", "names"),
    [(24, ["middle", "new", "old"]), (23, ["middle", "new"]), (9, ["new"]), (0, ["old"])],
)
def test_the_least_recently_used_go_beyond_the_limit_but_the_newest_never(home, limit, names):
    newest = home / ("old" if limit == 0 else "new") / "validation.f32"
    evict(home, limit * KB, newest)
    assert left(home) == names


@pytest.mark.parametrize(
    ("free", "room", "names"),
    [
        (10, True, ["middle", "new", "old"]),
        (9, True, ["middle", "new"]),
        (-7, False, ["middle", "new", "old"]),
    ],
    ids=["enough", "one goes", "all are too few"],
)
def test_older_features_go_for_new_ones_if_that_helps(home, monkeypatch, free, room, names):
    with_free(monkeypatch, home, free * KB)
    assert make_room(home, home / "new" / "validation.f32", 10 * KB) == room
    assert left(home) == names


def test_a_full_disk_is_told_once_with_what_to_do(home, caplog):
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        require_no_room(OSError(number, "full"), home)
    assert [f"{home} has no room" in text and "TUNER_CACHE_DIR" in text for text in caplog.messages] == [True]
    with pytest.raises(PermissionError):
        require_no_room(PermissionError(errno.EACCES, "no"), home)


def test_the_room_of_a_folder_that_is_not_there_yet_is_that_of_its_disk(home, monkeypatch):
    with_free(monkeypatch, home, 1)
    assert has_room(home / "cache" / "features")
    with_free(monkeypatch, home, 0)
    assert not has_room(home / "cache" / "features")


@pytest.mark.parametrize(("blocks", "size"), [(8, 4096), (None, 10_000)])
def test_a_file_counts_what_it_takes_on_disk_where_the_system_says(blocks, size):
    status = SimpleNamespace(st_size=10_000, **({} if blocks is None else {"st_blocks": blocks}))
    assert size_on_disk(status) == size
