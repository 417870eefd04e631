"""The driver's sign of life in the run directory, and the requests that others leave there.

    driver.yaml   who runs the search, where its pages are, when it was last alive; gone when it has ended properly
    stop/run      somebody asks the whole search to stop
    stop/<trial>  somebody asks one trial to stop

Files, so that it works from any machine that sees the run directory.
"""

import contextlib
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from trainables.errors import RunProblem
from trainables.process_mark import ProcessMark, is_alive, kernel, own_mark, started
from tuner.runs.directory import Run, read_yaml

__all__ = ["STOP_RUN", "Driver", "Watch", "driver_of", "page_words", "request_stop"]

STOP_RUN = "run"
BEAT_S = 5.0
POLL_S = 0.5
SILENT_S = 60.0
"""A driver that has been silent for so long is taken for dead, if its process can't be looked up."""
CLOCKS_DIFFER_S = 2.0
"""By so much the start of a process, as the system tells it, may be off."""


def page_words(pages: Mapping[str, str]) -> list[str]:
    """The addresses of a search's pages, a line each.

    >>> page_words({"dashboard": "http://127.0.0.1:8265", "metrics": "http://127.0.0.1:9/metrics"})
    ['dashboard http://127.0.0.1:8265', 'metrics for Prometheus http://127.0.0.1:9/metrics']
    """
    return [f"{name}{' for Prometheus' * (name == 'metrics')} {address}" for name, address in pages.items()]


@dataclass(frozen=True)
class Driver:
    """The process that runs a search; `since` and `seen` are times of its own machine's clock.

    `mark` tells the process from a later one with its number; None in runs of earlier versions. `locked` says that some
    process holds the run's lock.
    """

    host: str
    pid: int
    since: float
    seen: float
    pages: Mapping[str, str]
    mark: ProcessMark | None = None
    locked: bool = False
    doing: str = ""

    @property
    def alive(self) -> bool:
        """Whether it lives, as far as can be seen from here.

        Where the process can be looked up, its start decides and not its number alone: after a restart the number is
        somebody else's. Where it can't (another machine, another container), the lock and the sign of life decide.
        """
        found = self._looked_up()
        if found or self.locked:
            return True
        if found is False or (self.mark is not None and self.mark.boot and self.mark.boot == kernel()):
            # A process of this kernel that lived would hold the lock.
            return False
        return abs(time.time() - self.seen) < SILENT_S

    def _looked_up(self) -> bool | None:
        """Whether the process lives; None where it can't be looked up from here."""
        if self.mark is not None:
            return is_alive(self.mark)
        if self.host != platform.node():
            return None
        born = started(self.pid)
        return born is not None and born <= self.since + CLOCKS_DIFFER_S


class Watch:
    """While entered: writes the sign of life, and calls `stop` once when somebody asks the search to stop.

    `pages` are addresses by name that `tuner status` shows.
    """

    def __init__(self, run: Run, stop: Callable[[], None], pages: Mapping[str, str] | None = None) -> None:
        self._run, self._stop, self._pages = run, stop, dict(pages or {})
        self._since, self._mark = started(os.getpid()) or time.time(), own_mark()
        self._doing = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tuner-watch", daemon=True)

    def __enter__(self) -> "Watch":
        # What was asked of an earlier process does not concern this one.
        (self._run.path / "stop" / STOP_RUN).unlink(missing_ok=True)
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        for file in (_file(self._run), self._run.path / "stop" / STOP_RUN):
            file.unlink(missing_ok=True)

    def tell(self, doing: str) -> None:
        """Say in words what is done from now on, where it is not the training of trials."""
        self._doing = doing
        with contextlib.suppress(OSError):
            self._beat()

    def _work(self) -> None:
        asked, beaten = False, time.monotonic()
        while not self._ended.wait(POLL_S):
            if not asked and (self._run.path / "stop" / STOP_RUN).exists():
                asked = True
                self._stop()
            if time.monotonic() - beaten > BEAT_S:
                beaten = time.monotonic()
                # A full disk or a server that is away must not end the watch: the next beat may get through.
                with contextlib.suppress(OSError):
                    self._beat()

    def _beat(self) -> None:
        now, here = time.time(), platform.node()
        driver = Driver(here, os.getpid(), self._since, now, self._pages, self._mark, doing=self._doing)
        content = asdict(driver)
        # Who reads it looks at the lock.
        del content["locked"]
        self._run.write_yaml("driver.yaml", content)


def driver_of(run: Run) -> Driver | None:
    """The process that runs, or ran and died in, the search of `run`; None if it ended properly."""
    try:
        content = read_yaml(_file(run))
        told = {name: content[name] for name in ("host", "pid", "since", "seen", "pages")}
        mark = content.get("mark")
        told |= {
            "mark": None if mark is None else ProcessMark(**mark),
            "doing": str(content.get("doing", "")),
        }
        return Driver(**told, locked=run.in_use)
    except (RunProblem, KeyError, TypeError):
        return None


def request_stop(run: Run, name: str) -> None:
    """Leave the request that the trial `name`, or with STOP_RUN the whole search, stops."""
    folder = run.path / "stop"
    folder.mkdir(exist_ok=True)
    (folder / name).touch()


def _file(run: Run) -> Path:
    return run.path / "driver.yaml"
