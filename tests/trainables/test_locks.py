import contextlib
import errno
import fcntl
import json
import multiprocessing
import os
import threading
import time
from dataclasses import asdict, replace

import pytest

from trainables import locks
from trainables.locks import LockHeld, is_locked, locked
from trainables.process_mark import own_mark


@pytest.fixture
def refuse(monkeypatch):
    """A file system without flock, as NFS without a lock server answers (ENOLCK) or Lustre (ENOSYS)."""

    def answer(number=errno.ENOLCK):
        def flock(handle, operation):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(locks.fcntl, "flock", flock)

    return answer


@pytest.fixture(params=["flock", "without flock"])
def either(request, refuse):
    if request.param != "flock":
        refuse()


@pytest.mark.usefixtures("either")
def test_a_lock_that_is_held_is_seen_and_refused_until_it_is_given_back(tmp_path):
    file = tmp_path / "x.lock"
    assert not is_locked(file)
    with locked(file):
        assert is_locked(file)
        with pytest.raises(LockHeld, match="another process holds it"), locked(file, timeout_s=0):
            pass
    assert not is_locked(file)
    with locked(file, timeout_s=0):
        pass


@pytest.mark.usefixtures("either")
def test_who_waits_for_a_lock_gets_it(tmp_path):
    file, order = tmp_path / "x.lock", []
    taken = threading.Event()

    def hold():
        with locked(file):
            taken.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    with locked(file):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_flock_nothing_is_left_but_the_empty_lock_file(tmp_path, refuse, number):
    refuse(number)
    with locked(tmp_path / "x.lock"):
        assert (tmp_path / "x.lock.held").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["x.lock"]


def test_another_answer_of_the_system_is_raised(tmp_path, refuse):
    refuse(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), locked(tmp_path / "x.lock"):
        pass


def _hold_and_die(path):
    locks.fcntl.flock = _no_locks
    with locked(path):
        os._exit(9)


def _no_locks(handle, operation):
    raise OSError(errno.ENOLCK, "no locks")


def test_a_lock_file_whose_holder_died_is_taken_over_at_once(tmp_path, refuse):
    file = tmp_path / "x.lock"
    holder = multiprocessing.get_context("spawn").Process(target=_hold_and_die, args=(str(file),))
    holder.start()
    holder.join()
    assert holder.exitcode == 9
    refuse()
    assert (tmp_path / "x.lock.held").exists()
    assert not is_locked(file)
    with locked(file, timeout_s=0):
        assert is_locked(file)


def test_a_lock_file_of_another_machine_counts_while_it_is_touched(tmp_path, refuse):
    refuse()
    file, held = tmp_path / "x.lock", tmp_path / "x.lock.held"
    file.touch()
    held.write_text(json.dumps(asdict(replace(own_mark(), host="elsewhere", boot="another"))))
    assert is_locked(file)
    with pytest.raises(LockHeld), locked(file, timeout_s=0):
        pass
    old = time.time() - 2 * locks.ABANDONED_S
    os.utime(held, (old, old))
    with locked(file, timeout_s=0):
        assert json.loads(held.read_text())["pid"] == os.getpid()


def test_a_holder_touches_its_lock_file(tmp_path, refuse, monkeypatch):
    refuse()
    monkeypatch.setattr(locks, "BEAT_S", 0.02)
    held = tmp_path / "x.lock.held"
    with locked(tmp_path / "x.lock"):
        os.utime(held, (0, 0))
        deadline = time.monotonic() + 10
        while held.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert held.stat().st_mtime > 0


def test_a_fresh_lock_file_is_not_taken_for_the_abandoned_one_that_stood_there(tmp_path, refuse):
    refuse()
    held = tmp_path / "x.lock.held"
    with locked(tmp_path / "x.lock"):
        locks._remove_abandoned(held)
        assert json.loads(held.read_text())["pid"] == os.getpid()
    assert [file.name for file in tmp_path.iterdir()] == ["x.lock"]


def test_who_only_looks_does_not_keep_another_from_looking(tmp_path):
    file = tmp_path / "x.lock"
    with contextlib.closing(file.open("w")) as opened:
        fcntl.flock(opened, fcntl.LOCK_SH)
        assert not is_locked(file)
