"""Between a search and a sink: a bounded queue and a thread, so that a slow or dead server costs the search nothing.

What could not be sent stands in `<run>/unsent-<sink>.jsonl`, one event a line; `tuner sync` sends it. What was still
under way when the search ended, to a sink that would keep a repeated event twice, stands in
`<run>/doubtful-<sink>.jsonl`: it may have arrived, so nothing sends it again.
"""

import contextlib
import functools
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.runs.directory import Run
from tuner.tracking import sinks
from tuner.tracking.events import Event
from tuner.tracking.sinks import Sink

if TYPE_CHECKING:
    from tuner.runs.trial import LiveTrial

CAPACITY = 10_000
"""Events that wait in memory, a few megabytes; what comes on top goes to the file at once."""

BATCH = 200
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
CLOSING_S = 5.0
"""How long the end of a search may wait for a sink that answers; one that does not is given up at once."""


class Outbox:
    """Sends the events of one run to one sink from a thread of its own; an observer of the store.

    `trouble` is what the sink last complained about, None while it works. `unsent` counts the events in the file
    `spill`, `in_doubt` those in `doubtful`. A sink that would keep a repeated event twice has such a file, and gets its
    events one by one, so that it is known which it took; one with `doubtful` None is sent the same event again.
    """

    def __init__(
        self,
        name: str,
        open_sink: Callable[[], Sink],
        spill: Path,
        capacity: int = CAPACITY,
        *,
        doubtful: Path | None = None,
    ) -> None:
        self.name, self.trouble, self.unsent, self.in_doubt = name, None, 0, 0
        self.doubtful = doubtful
        self._open, self._spill = open_sink, spill
        self._size = BATCH if doubtful is None else 1
        self._queue: queue.Queue[Event] = queue.Queue(capacity)
        self._batch: list[Event] = []
        self._sending = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"tuner-{name}", daemon=True)
        self._thread.start()

    trouble: str | None

    def started(self, trial: "LiveTrial") -> None:
        """A start is no event of a sink."""

    def epoch(self, trial: "LiveTrial", event: Event) -> None:
        """Queue an epoch."""
        self.put(event)

    def ended(self, trial: "LiveTrial", event: Event) -> None:
        """Queue the end of a trial."""
        self.put(event)

    def put(self, event: Event) -> None:
        """Queue `event`, or write it to the file if the queue is full; never waits for the sink."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._keep([event])

    def close(self, seconds: float = CLOSING_S) -> None:
        """Send what is left for at most `seconds`, and write the rest to the files."""
        self._closing.set()
        self._thread.join(seconds)
        with self._lock:
            batch, self._batch = self._batch, []
            left = self._drain()
            under_way = self._sending
        if under_way and self.doubtful is not None:
            append(self.doubtful, batch)
            self.in_doubt += len(batch)
        else:
            left = [*batch, *left]
        self._keep(left)

    def _work(self) -> None:
        sink: Sink | None = None
        pause = FIRST_PAUSE_S
        while self._next_batch():
            try:
                sink = sink or self._open()
                self._send(sink)
            except Exception as error:  # whatever a client library raises must not reach the search
                self.trouble = f"{type(error).__name__}: {error}"
                if self._closing.wait(pause):
                    break
                pause = min(2 * pause, LONGEST_PAUSE_S)
                continue
            self.trouble, pause = None, FIRST_PAUSE_S
        if sink is not None:
            with contextlib.suppress(Exception):
                sink.close()

    def _send(self, sink: Sink) -> None:
        """Send the batch, unless the outbox was closed meanwhile, which has written it to a file."""
        with self._lock:
            batch, self._sending = self._batch, True
        try:
            if batch:
                sink.send(batch)
        except BaseException:
            with self._lock:
                self._sending = False
            raise
        with self._lock:
            self._batch, self._sending = [], False

    def _next_batch(self) -> bool:
        """Fill the batch, unless one is still to be sent; False when closing and nothing is left."""
        while not self._batch:
            # Under the lock, so that `close` finds every event in the queue or in the batch.
            with self._lock:
                try:
                    first = self._queue.get(timeout=0.1)
                    self._batch = [first, *self._drain(self._size - 1)]
                except queue.Empty:
                    if self._closing.is_set():
                        return False
        return True

    def _drain(self, most: int | None = None) -> list[Event]:
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while most is None or len(events) < most:
                events.append(self._queue.get_nowait())
        return events

    def _keep(self, events: Sequence[Event]) -> None:
        append(self._spill, events)
        self.unsent += len(events)


def open_outboxes(run: Run, chosen: Iterable[str], weights: bool) -> list[Outbox]:
    """An outbox for every sink in `chosen`."""
    return [
        Outbox(
            name,
            functools.partial(sinks.open_sink, name, run, weights),
            unsent_file(run, name),
            doubtful=None if sinks.is_repeatable(name) else doubtful_file(run, name),
        )
        for name in chosen
    ]


def unsent_file(run: Run, name: str) -> Path:
    """Where the events of `run` stand that the sink `name` did not take."""
    return run.path / f"unsent-{name}.jsonl"


def doubtful_file(run: Run, name: str) -> Path:
    """Where the events of `run` stand that may or may not have reached the sink `name`."""
    return run.path / f"doubtful-{name}.jsonl"


def append(path: Path, events: Sequence[Event]) -> None:
    """Add `events` to the file, one line of JSON each."""
    if events:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(event)) + "\n" for event in events)


def read(path: Path) -> list[Event]:
    """The events in the file; a last line that a dying process tore is left out."""
    events = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            events.append(Event(**json.loads(line)))
    return events


def deliver(
    open_sink: Callable[[], Sink], events: list[Event], patience_s: float = 20.0, size: int = BATCH
) -> None:
    """Send `events` now, `size` at once, trying for `patience_s`; what was taken is removed from the list.

    Raises SinkError if the sink does not take the rest.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with contextlib.closing(open_sink()) as sink:
                while events:
                    sink.send(events[:size])
                    del events[:size]
            return
        except sinks.SinkError:
            if time.monotonic() + FIRST_PAUSE_S > deadline:
                raise
            time.sleep(FIRST_PAUSE_S)
