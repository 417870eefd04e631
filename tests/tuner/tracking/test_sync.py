import pytest
from click.testing import CliRunner

from tuner.cli.app import commands
from tuner.tracking import sinks, sync
from tuner.tracking.events import Event
from tuner.tracking.outbox import append, doubtful_file, open_outboxes, read, unsent_file


def event(number):
    return Event("epoch", f"t{number}", "m/s/plain-unweighted/step", {"model": "m"}, {"epoch": number})


class Failing:
    """A sink that takes two events and then no more."""

    def __init__(self, taken):
        self.taken = taken

    def send(self, events):
        for one in events:
            if len(self.taken) == 2:
                raise sinks.SinkError("down")
            self.taken.append(one)

    def close(self):
        pass


@pytest.fixture
def taken(monkeypatch):
    found = []
    monkeypatch.setattr(sinks, "check", lambda name: None)
    monkeypatch.setattr(sinks, "open_sink", lambda name, run, weights=False: Failing(found))
    return found


def test_a_sync_that_fails_in_its_middle_keeps_only_what_was_not_taken(book, taken):
    append(unsent_file(book.run, "wandb"), [event(number) for number in range(4)])
    [failed] = sync.sync(book.run, ["wandb"], patience_s=0.0)
    assert failed.trouble == "down"
    assert taken == [event(0), event(1)]
    assert read(unsent_file(book.run, "wandb")) == [event(2), event(3)]


def test_what_may_have_arrived_is_told_and_not_sent(book, taken):
    append(doubtful_file(book.run, "wandb"), [event(7)])
    [done] = sync.sync(book.run)
    assert (done.name, done.events, done.doubtful, done.trouble) == ("wandb", 0, 1, None)
    assert taken == []
    said = CliRunner().invoke(commands, ["sync", str(book.run.path)], catch_exceptions=False).output
    assert f"1 may have arrived and is not sent again: {doubtful_file(book.run, 'wandb')}" in " ".join(
        said.split()
    )


def test_only_sinks_that_double_have_doubts(book, taken):
    boxes = {box.name: box for box in open_outboxes(book.run, ["wandb", "mongodb"], weights=False)}
    for box in boxes.values():
        box.close()
    assert boxes["wandb"].doubtful == doubtful_file(book.run, "wandb")
    assert boxes["mongodb"].doubtful is None
