"""SIGINT and SIGTERM: the first ends a search properly, the second at once.

A handler in Python waits until the main thread leaves whatever C code it is in, which may be Ray waiting for an answer.
The second signal must not wait for that: a thread of its own hears of it through the wakeup pipe.
"""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from tuner.leftovers import end, rays_below

__all__ = ["INTERRUPTED", "Signals"]

INTERRUPTED = 130
"""Exit status of a search that was interrupted."""

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """While entered: the first signal calls `stop`, the second ends the process and its Ray.

    `asked` says that a signal has come; `stop` may be set later than that. Outside the main thread nothing is
    caught: whoever called owns the signals.
    """

    def __init__(self) -> None:
        self.asked = False
        self.stop: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._first) for number in NUMBERS}
        return self

    def __exit__(self, *error: object) -> None:
        if self.asked:
            signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _first(self, number: int, frame: Any) -> None:
        if self.asked:
            return
        self.asked = True
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=_wait_for_second, args=(reader,), name="tuner-signals", daemon=True).start()
        if self.stop is not None:
            self.stop()


def _wait_for_second(reader: int) -> None:
    """End the process when one of our signals arrives; others pass."""
    while number := os.read(reader, 1):
        if number[0] in NUMBERS:
            end(rays_below(), 0.0)
            os._exit(INTERRUPTED)
