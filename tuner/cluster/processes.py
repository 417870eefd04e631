"""Ray's processes that belong to this one: found before they are orphans, ended when they outstay their welcome.

Ray's agents notice the death of their raylet only after ten seconds and more.
"""

import contextlib
import os
from collections.abc import Sequence

import psutil

__all__ = ["end", "end_watchers", "rays_below"]

OWN = ("/ray/core/", "/ray/dashboard/", "/ray/_private/", "/ray/autoscaler/", "ray::")
"""What the command line of a Ray process holds."""

WATCHERS = (
    "/ray/dashboard/dashboard.py",
    "/ray/_private/log_monitor.py",
    "/ray/autoscaler/_private/monitor.py",
    "/ray/autoscaler/v2/monitor.py",
)
"""The same of those that only watch and display: nothing is lost with them."""


def rays_below(pid: int | None = None) -> list[psutil.Process]:
    """Ray's processes among the children of `pid`, by default of this process, and whatever these started."""
    found: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid or os.getpid()).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(sign in part for part in child.cmdline() for sign in OWN):
                    found |= {one.pid: one for one in [child, *child.children(recursive=True)]}
    return list(found.values())


def end_watchers(processes: Sequence[psutil.Process]) -> None:
    """Kill those of `processes` that only watch a Ray, and what these started; asked by Ray they take a second each."""
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(part.endswith(WATCHERS) for part in one.cmdline()):
                for each in (*one.children(recursive=True), one):
                    each.kill()


def end(processes: Sequence[psutil.Process], patience_s: float) -> None:
    """Wait `patience_s` for `processes` to end by themselves, then kill the others.

    psutil knows a process by its time of birth too, so a number that is in use again is safe.
    """
    _, alive = psutil.wait_procs(processes, timeout=patience_s)
    for one in alive:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            one.kill()
