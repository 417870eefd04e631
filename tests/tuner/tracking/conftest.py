import sys

import pytest
from mongo_server import MongoServer
from tiny import epoch, store, write_space


@pytest.fixture
def book(tmp_path):
    """The store of a tiny run whose record is complete enough for sinks."""
    made = store(tmp_path, write_space(tmp_path), samples=8)
    made.run.update_record(started="2026-01-01T10:00:00", settings={"samples": 8, "log": []})
    return made


@pytest.fixture
def play():
    """A function that lets a store's next trial run for some epochs and, unless told otherwise, end."""

    def run(book, losses=(0.9, 0.7, 0.8), end="completed"):
        trial_id = book.next()["trial_id"]
        for number, loss in enumerate(losses, start=1):
            book.report(trial_id, epoch(number, loss, time=1_760_000_000.0 + number))
        if end:
            book.finish(trial_id, end, end)
        return trial_id

    return run


@pytest.fixture
def mongo(tmp_path, monkeypatch):
    """A MongoDB server that is not started yet; its address is in the environment."""
    pytest.importorskip("pymongo")
    pytest.importorskip("nx_27017")
    server = MongoServer(tmp_path)
    monkeypatch.setenv("TUNER_MONGODB_URI", server.address)
    yield server
    server.stop()
    sys.stdout.flush()
