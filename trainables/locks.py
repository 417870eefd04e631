"""Locks between processes, on file systems with flock and without.

The operating system takes flock's lock from a process that dies, so it is used wherever the file system has it. NFS
without a lock server answers ENOLCK, Lustre without `-o flock` ENOSYS. There a file FILE.held, which only one process
can make, is the lock. Its holder touches it every few seconds. It counts as abandoned when its process is known to have
ended, or when nobody has touched it for a minute.
"""

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from trainables.process_mark import ProcessMark, is_alive, own_mark

__all__ = ["LockHeld", "is_locked", "locked"]

NO_FLOCK = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
POLL_S = 0.05
BEAT_S = 5.0
ABANDONED_S = 60.0
"""A lock file that nobody has touched for so long is taken over, where its process can't be looked up."""

Release = Callable[[], None]


class LockHeld(TimeoutError):
    """Another holder has the lock, and has not given it back in time."""


@contextlib.contextmanager
def locked(path: Path | str, timeout_s: float | None = None) -> Iterator[None]:
    """Hold the lock `path`, a file that is made beside what it guards; not re-entrant.

    Waits `timeout_s` for another holder, by default for ever, then raises LockHeld. Raises OSError where the file can't
    be made.
    """
    path = Path(path)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while (release := _try(path)) is None:
        if deadline is not None and time.monotonic() >= deadline:
            raise LockHeld(errno.EAGAIN, "another process holds it", str(path))
        time.sleep(POLL_S)
    try:
        yield
    finally:
        release()


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock now; for an instant it takes the lock itself, beside others who only look."""
    held = _held_file(path)
    if held.exists() and not _abandoned(held):
        return True
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _try(path: Path) -> Release | None:
    """Take the lock if it is free; what gives it back, or None."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody may have removed the file between the opening and the lock.
        if os.fstat(handle).st_nlink:
            return partial(os.close, handle)
    except BlockingIOError:
        pass
    except OSError as error:
        if error.errno in NO_FLOCK:
            os.close(handle)
            return _try_file(_held_file(path))
        os.close(handle)
        raise
    os.close(handle)
    return None


# ---- without flock


def _held_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.held")


def _try_file(held: Path) -> Release | None:
    """Make the file `held` if nobody has; what removes it, or None."""
    if held.exists() and _abandoned(held):
        _remove_abandoned(held)
    try:
        handle = os.open(held, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(own_mark()), file)
    ended = threading.Event()
    threading.Thread(target=_beat, args=(held, ended), name="tuner-lock", daemon=True).start()

    def release() -> None:
        ended.set()
        held.unlink(missing_ok=True)

    return release


def _beat(held: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        with contextlib.suppress(OSError):
            os.utime(held)


def _abandoned(held: Path) -> bool:
    """Whether the holder of the file has died, as far as can be seen from here."""
    try:
        touched = held.stat().st_mtime
        alive = is_alive(ProcessMark(**json.loads(held.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError):
        # Half written, or its maker died over it.
        alive = None
    if alive is not None:
        return not alive
    return _server_time(held) - touched > ABANDONED_S


def _server_time(beside: Path) -> float:
    """Now, by the clock of whoever keeps the file: that of a file server may be another than ours."""
    trial = beside.with_name(f".{beside.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        trial.touch()
        return trial.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            trial.unlink()


def _remove_abandoned(held: Path) -> None:
    """Remove the file, unless another process has just done so and made its own."""
    aside = held.with_name(f".{held.name}.{uuid.uuid4().hex[:8]}.tmp")
    with contextlib.suppress(FileNotFoundError):
        held.rename(aside)
        if not _abandoned(aside):
            # It was a fresh one: back with it, and if somebody is faster, that one's holder has made it meanwhile.
            with contextlib.suppress(OSError):
                os.link(aside, held)
        aside.unlink()
