"""The next items made by a thread while the present one is used."""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

__all__ = ["AHEAD", "ahead"]

Item = TypeVar("Item")

AHEAD = 2
"""Items that wait for their reader at most; another is in the thread's hand."""

_PATIENCE_S = 0.05


def ahead(source: Iterator[Item]) -> Generator[Item]:
    """The items of `source`, made by one background thread at most two ahead.

    An exception of `source` is raised here. The thread ends when the reader closes or drops the iterator.
    """
    items: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(AHEAD)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(source, items, stop), name="batches", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = items.get()
            if kind == "end":
                return
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


def _produce(
    source: Iterator[Item],
    items: "queue.Queue[tuple[str, Item | BaseException | None]]",
    stop: threading.Event,
) -> None:
    def hand_over(kind: str, item: Item | BaseException | None = None) -> bool:
        while not stop.is_set():
            try:
                items.put((kind, item), timeout=_PATIENCE_S)
                return True
            except queue.Full:
                continue
        return False

    try:
        for item in source:
            if not hand_over("item", item):
                return
        hand_over("end")
    except BaseException as error:
        hand_over("error", error)
