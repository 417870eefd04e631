"""SIGINT and SIGTERM: the first ends a search or a retraining properly, the second at once.

A handler in Python waits until the main thread leaves whatever C code it is in, which may be Ray waiting for an answer.
So a thread of its own hears of signals through the wakeup pipe; the handlers only keep Python from doing anything else.
"""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from tuner.cluster.processes import end, rays_below

__all__ = ["INTERRUPTED", "Signals"]

INTERRUPTED = 130
"""Exit status of what was interrupted."""

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """While entered: the first signal asks to stop, the second ends the process and its Ray.

    `asked` says that a signal has come. `stop`, which may be set later than that, is called in another thread; with
    `raises` the main thread gets a KeyboardInterrupt instead, for SIGTERM too. Outside the main thread nothing is
    caught: whoever called owns the signals. Nor where a pipe can't wake (Windows).
    """

    def __init__(self, *, raises: bool = False) -> None:
        self.asked = False
        self.stop: Callable[[], None] | None = None
        self._raises = raises
        self._before: dict[int, Any] = {}
        self._pipe: tuple[int, int, int] | None = None

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread() and os.name == "posix":
            reader, writer = os.pipe()
            os.set_blocking(writer, False)
            before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
            self._pipe = (reader, writer, before)
            threading.Thread(target=self._listen, args=(reader,), name="tuner-signals", daemon=True).start()
            self.arm()
        return self

    def __exit__(self, *error: object) -> None:
        if self._pipe is not None:
            _, writer, before = self._pipe
            signal.set_wakeup_fd(before)
            for number, handler in self._before.items():
                signal.signal(number, handler)
            os.close(writer)

    def ask(self) -> None:
        """Ask to stop, as the first signal does."""
        self.asked = True
        if self.stop is not None:
            self.stop()

    def arm(self) -> None:
        """Take the signals, again after somebody else has taken them: Ray does when it starts."""
        if self._pipe is not None:
            for number in NUMBERS:
                before = signal.signal(number, self._handle)
                self._before.setdefault(number, before)

    def _listen(self, reader: int) -> None:
        """Act on our signals until the pipe is closed; others pass."""
        while number := os.read(reader, 1):
            if number[0] not in NUMBERS:
                continue
            if self.asked:
                end(rays_below(), 0.0)
                os._exit(INTERRUPTED)
            self.ask()
        os.close(reader)

    def _handle(self, number: int, frame: Any) -> None:
        """In the main thread; the thread that listens has heard of it too, and ends the process at the second."""
        if self._raises:
            self._raises = False
            # Of this class, since Ray hands on no other from its waiting.
            raise KeyboardInterrupt
