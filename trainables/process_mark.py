"""What tells a process from a later one that has got its number.

After a restart of a machine or a container the system gives the same numbers again. A process is known by its number
together with its start and the kernel and the number space (of a container) in which the number counts.
"""

import contextlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessMark", "is_alive", "kernel", "own_mark", "started"]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NAMESPACE = "/proc/self/ns/pid"


@dataclass(frozen=True)
class ProcessMark:
    """One process. `born` is in clock ticks since the start of the kernel on Linux, in seconds since 1970 elsewhere.

    `boot` names the kernel since its start, `namespace` the space of its numbers; both are empty where the system does
    not tell them, and then `host` stands for the machine.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    born: float


def own_mark() -> ProcessMark:
    """This process."""
    number = os.getpid()
    born = _born(number)
    return ProcessMark(platform.node(), kernel(), _namespace(), number, -1.0 if born is None else born)


def is_alive(mark: ProcessMark) -> bool | None:
    """Whether the process lives; None where it can't be looked up from here: another machine, another container."""
    here = (kernel(), _namespace())
    if (mark.boot, mark.namespace) != here or (not mark.boot and mark.host != platform.node()):
        return None
    return _born(mark.pid) == mark.born


def kernel() -> str:
    """A name of the running kernel that another start of it does not have; empty where the system tells none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def started(pid: int) -> float | None:
    """When the process `pid` of this machine began, in seconds since 1970; None if there is none, or it has ended."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        # A zombie has ended; it waits for its parent to notice.
        if process.status() != psutil.STATUS_ZOMBIE:
            return float(process.create_time())
    return None


def _namespace() -> str:
    try:
        return str(Path(NAMESPACE).readlink())
    except OSError:
        return ""


def _born(pid: int) -> float | None:
    """Start of the process as the kernel counts it, which does not move when the clock is set; None if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if kernel() else started(pid)
    # The name, which stands in brackets, may hold brackets and spaces.
    fields = text[text.rfind(")") + 1 :].split()
    return None if fields[0] in ("Z", "X") else float(fields[19])
