import errno
import os
from pathlib import Path

import pytest

from trainables.errors import InvalidValue
from tuner.runs.paths import try_folder, try_target

LONG = "n" * 300


@pytest.fixture
def home(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    return tmp_path


def everything_below(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["folder", "new", "new/deep/er"])
def test_a_place_that_can_be_written_is_left_as_it_was(home, name):
    before = everything_below(home)
    try_folder(home / name)
    try_target(home / name / "p.csv")
    try_target(home / "p.csv", parents=False)
    assert everything_below(home) == before


@pytest.mark.parametrize("name", ["file", "file/below", "file/below/deeper", LONG, f"new/{LONG}", "new\0"])
def test_a_folder_that_can_not_be_is_named_with_its_option(home, name):
    with pytest.raises(InvalidValue, match=r"^--out .*: nothing can be written there"):
        try_folder(home / name, "--out")
    assert not (home / "new").exists()


@pytest.mark.parametrize("name", ["folder", "file/p.csv", LONG, "n" * 250])
def test_a_file_that_can_not_be_is_named_with_its_option(home, name):
    with pytest.raises(InvalidValue, match=r"^--out .*: nothing can be written there"):
        try_target(home / name, "--out")


def test_a_missing_folder_is_refused_where_none_will_be_made(home):
    with pytest.raises(InvalidValue, match="No such file"):
        try_target(home / "new/p.csv", "--out", parents=False)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
def test_whatever_the_system_says_is_told(home, monkeypatch, number):
    def refuse(self, content):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    before = everything_below(home)
    with pytest.raises(InvalidValue, match=os.strerror(number)):
        try_folder(home / "new" / "deep", "--runs-dir")
    assert everything_below(home) == before
