import time

import pandas as pd
import pytest

from trainables.errors import InvalidValue
from tuner.tracking import sinks
from tuner.tracking.events import events_of
from tuner.tracking.outbox import open_outboxes, read, unsent_file
from tuner.tracking.sinks import mongodb
from tuner.tracking.sync import log_final_tests, sync

pytestmark = pytest.mark.slow


def epochs_in(server):
    """(trial, epoch) -> document of every epoch in the database; fails on a double."""
    found = {}
    for documents in server.documents().values():
        for document in documents:
            if document["phase"] == "epoch":
                key = (document["trial_id"], document["epoch"])
                assert key not in found
                found[key] = document
    return found


def assert_equal_to_the_tables(server, run):
    found, rows = epochs_in(server), run.epochs()
    assert set(found) == set(zip(rows["trial_id"], rows["epoch"], strict=True))
    for row in rows.to_dict("records"):
        document = found[row["trial_id"], row["epoch"]]
        for name in ("train_loss", "val_loss", "val_macro_f1", "learning_rate", "full_epochs"):
            assert document[name] == row[name]
        assert document["val_acc"] == row["val_accuracy"]
        assert document["train_acc"] == row["train_accuracy"]


def test_a_server_that_is_away_and_gone_loses_nothing_and_sync_makes_documents_equal_the_tables(
    book, play, mongo
):
    mongo.start()
    [box] = open_outboxes(book.run, ["mongodb"], weights=False)
    book.observers.append(box)
    play(book)
    deadline = time.monotonic() + 10
    while len(epochs_in(mongo)) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(epochs_in(mongo)) == 3
    mongo.stop()
    for _ in range(2):
        play(book)
    time.sleep(4)
    assert box.trouble is not None
    mongo.start()
    deadline = time.monotonic() + 40
    while len(epochs_in(mongo)) < 9 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert_equal_to_the_tables(mongo, book.run)
    mongo.stop()
    play(book)
    box.close()
    assert box.unsent == 4
    mongo.start()
    assert len(epochs_in(mongo)) == 9
    book.run.update_record(settings={"samples": 8, "log": ["mongodb"]})
    [done] = sync(book.run)
    assert done.trouble is None
    assert_equal_to_the_tables(mongo, book.run)
    assert not unsent_file(book.run, "mongodb").exists()


def test_a_repeated_sync_leaves_no_double_and_a_killed_driver_no_gap(book, play, mongo):
    mongo.start()
    first = play(book)
    play(book, end=None)
    for _ in range(2):
        [done] = sync(book.run, ["mongodb"])
        assert done.trouble is None
    assert_equal_to_the_tables(mongo, book.run)
    best = {epoch: doc["is_best"] for (trial, epoch), doc in epochs_in(mongo).items() if trial == first}
    assert best == {1: True, 2: True, 3: False}


def test_documents_are_the_studys(book, play, mongo):
    mongo.start()
    play(book)
    sync(book.run, ["mongodb"])
    [(name, documents)] = mongo.documents().items()
    config = book.standings.rows[documents[0]["trial_id"]]
    assert name == f"mobilenet_v2_{config['strategy']}_plain_unweighted_step"
    expected = {"model", "strategy", "epoch", "start_time", "end_time", "train_loss", "val_loss"}
    expected |= {"train_acc", "val_acc", "is_best"}
    for document in documents:
        assert expected <= set(document)
        assert (document["end_time"] - document["start_time"]).total_seconds() == 1.0
        assert document["parameters"]["batch_size"] == 8


def test_a_repeated_comparison_replaces_its_test_scores(book, play, mongo):
    mongo.start()
    trial = play(book)
    book.write_table()
    book.run.update_record(settings={"samples": 8, "log": ["mongodb"]})
    for accuracy in (0.5, 0.75):
        row = {"run": book.run.path.name, "trial_id": trial, "best_epoch": 2, "test_accuracy": accuracy}
        [done] = log_final_tests(book.run, pd.DataFrame([row]))
        assert done.trouble is None
    tests = [d for docs in mongo.documents().values() for d in docs if d["phase"] == "final_test"]
    assert [(one["trial_id"], one["test_accuracy"], one["epoch"]) for one in tests] == [(trial, 0.75, 2)]


def test_a_sync_without_a_server_keeps_what_is_unsent(book, play, mongo):
    trial = play(book)
    book.write_table()
    book.run.update_record(settings={"samples": 8, "log": ["mongodb"]})
    row = {"run": book.run.path.name, "trial_id": trial, "best_epoch": 2, "test_accuracy": 0.5}
    [first] = log_final_tests(book.run, pd.DataFrame([row]), patience_s=0.1)
    [second] = sync(book.run, patience_s=0.1)
    assert first.trouble is not None
    assert second.trouble is not None
    kept = read(unsent_file(book.run, "mongodb"))
    assert [one.kind for one in kept] == ["final_test"]


def test_a_password_is_never_told(monkeypatch):
    monkeypatch.setenv("TUNER_MONGODB_URI", "mongodb://leaf:s%40cret@127.0.0.1:27017/leaves")
    for text in ("mongodb://leaf:s%40cret@127.0.0.1 failed", "authentication of leaf with s@cret failed"):
        assert "cret" not in mongodb.without_password(text)
    monkeypatch.setenv("TUNER_MONGODB_URI", "mongodb://leaf:secret@127.0.0.1:port")
    with pytest.raises(InvalidValue, match="TUNER_MONGODB_URI can't be read") as caught:
        sinks.check("mongodb")
    assert "secret" not in str(caught.value)


def test_a_missing_address_is_one_line(monkeypatch):
    monkeypatch.delenv("TUNER_MONGODB_URI", raising=False)
    with pytest.raises(InvalidValue, match="mongodb://127"):
        sinks.check("mongodb")


def test_events_can_be_made_anew_from_the_run_directory(book, play):
    class Hearing:
        def __init__(self):
            self.heard = []

        def started(self, trial):
            pass

        def epoch(self, trial, event):
            self.heard.append(event)

        ended = epoch

    hearing = Hearing()
    book.observers.append(hearing)
    for _ in range(3):
        play(book)
    assert list(events_of(book.run)) == hearing.heard
