"""A file is hashed once for each state of it, and a replaced one again whatever it does to look alike."""

import hashlib
import os
import time

import pytest

from trainables import file_digest as module
from trainables.file_digest import file_digest


@pytest.fixture
def hashed(monkeypatch):
    """The files that were read to be hashed."""
    read, digest = [], hashlib.file_digest

    def noted(file, name):
        read.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    return read


@pytest.fixture
def settled(monkeypatch):
    """Every file is old enough to be trusted."""
    now = time.time_ns
    monkeypatch.setattr(module.time, "time_ns", lambda: now() + 10 * module.SETTLED_NS)


@pytest.mark.usefixtures("settled")
def test_an_untouched_file_is_read_once(tmp_path, hashed):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    assert file_digest(file) == file_digest(file) == hashlib.sha256(b"one").hexdigest()
    assert len(hashed) == 1


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("how", ["over", "beside"])
def test_a_file_of_equal_size_and_time_is_read_again(tmp_path, how):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    times = file.stat()
    file_digest(file)
    if how == "over":
        file.write_bytes(b"two")
    else:
        (tmp_path / "new").write_bytes(b"two")
        (tmp_path / "new").replace(file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file_digest(file) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_has_just_changed_is_not_trusted(tmp_path, hashed):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    file_digest(file)
    file_digest(file)
    assert len(hashed) == 2
