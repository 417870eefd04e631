import json
import threading
import time

import pytest

from trainables.errors import InvalidValue, UnknownName
from tuner.tracking import outbox, sinks
from tuner.tracking.events import Event
from tuner.tracking.outbox import Outbox, read


def event(number):
    return Event("epoch", f"t{number}", "m/s/plain-unweighted/step", {"model": "m"}, {"epoch": number})


class Taking:
    """A sink that keeps what it is given; refuses while `up` is false, and takes `seconds` for each batch."""

    def __init__(self, up=True, seconds=0.0):
        self.up, self.seconds, self.taken, self.closed = up, seconds, [], False

    def send(self, events):
        time.sleep(self.seconds)
        if not self.up:
            raise sinks.SinkError("down")
        self.taken += events

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(outbox, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(outbox, "LONGEST_PAUSE_S", 0.1)


def test_everything_arrives_in_order_and_the_sink_is_closed(tmp_path):
    sink = Taking()
    box = Outbox("taking", lambda: sink, tmp_path / "unsent")
    for number in range(500):
        box.put(event(number))
    box.close()
    assert [one.trial_id for one in sink.taken] == [f"t{number}" for number in range(500)]
    assert sink.closed
    assert not (tmp_path / "unsent").exists()


def test_a_sink_that_comes_back_gets_what_it_missed_once(tmp_path):
    sink = Taking(up=False)
    box = Outbox("taking", lambda: sink, tmp_path / "unsent")
    for number in range(20):
        box.put(event(number))
    time.sleep(0.3)
    assert box.trouble == "SinkError: down"
    sink.up = True
    time.sleep(0.5)
    box.close()
    assert [one.trial_id for one in sink.taken] == [f"t{number}" for number in range(20)]
    assert box.trouble is None


def test_what_a_dead_sink_did_not_take_is_in_the_file(tmp_path):
    box = Outbox("taking", lambda: Taking(up=False), tmp_path / "unsent")
    given = [event(number) for number in range(300)]
    for one in given:
        box.put(one)
    # Were the end to wait for this sink, it would wait until the test's own time is up.
    box.close(seconds=3600)
    assert read(tmp_path / "unsent") == given
    assert box.unsent == 300


class Hanging(Taking):
    """A sink that says when it was given something, and takes it only once it is let go."""

    def __init__(self):
        super().__init__()
        self.given, self.let_go = threading.Event(), threading.Event()

    def send(self, events):
        self.given.set()
        self.let_go.wait()
        super().send(events)


def test_a_full_queue_spills_and_never_waits_for_the_sink(tmp_path):
    sink = Hanging()
    box = Outbox("hanging", lambda: sink, tmp_path / "unsent", capacity=10)
    for number in range(400):
        box.put(event(number))
    assert sink.taken == []
    sink.let_go.set()
    box.close(3600)
    assert len(sink.taken) + len(read(tmp_path / "unsent")) == 400
    assert box.unsent > 0


def test_a_sink_that_hangs_is_given_up_at_the_end(tmp_path):
    sink = Hanging()
    box = Outbox("hanging", lambda: sink, tmp_path / "unsent")
    box.put(event(1))
    sink.given.wait()
    box.put(event(2))
    box.close(0.2)
    assert sink.taken == []
    sink.let_go.set()
    assert [one.trial_id for one in read(tmp_path / "unsent")] == ["t1", "t2"]


def test_a_bug_in_a_sink_does_not_reach_the_search(tmp_path):
    def broken():
        raise ZeroDivisionError("a bug")

    box = Outbox("taking", broken, tmp_path / "unsent")
    box.put(event(1))
    time.sleep(0.1)
    box.close()
    assert box.trouble == "ZeroDivisionError: a bug"
    assert read(tmp_path / "unsent") == [event(1)]


def test_a_torn_last_line_is_left_out(tmp_path):
    outbox.append(tmp_path / "unsent", [event(1)])
    with (tmp_path / "unsent").open("a") as file:
        file.write(json.dumps({"kind": "epoch"})[:8])
    assert read(tmp_path / "unsent") == [event(1)]


def test_an_unknown_sink_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'mongodb'"):
        sinks.check("mongo-db")
    assert sinks.names() == ["mlflow", "mongodb", "tensorboard", "wandb"]


def test_a_sink_whose_package_is_missing_names_the_extra():
    with pytest.raises(InvalidValue, match=r"pip install 'tuner\[mongodb\]'"):
        sinks.require("no_such_package_anywhere", "mongodb")


class Doubling(Taking):
    """A sink in which a repeated event leaves a double, and which fails at some events the first time it sees them."""

    def __init__(self, failing=(), **more):
        super().__init__(**more)
        self.failing = set(failing)

    def send(self, events):
        for one in events:
            if one.trial_id in self.failing:
                self.failing.remove(one.trial_id)
                raise sinks.SinkError("down")
            super().send([one])


def test_what_may_have_arrived_is_never_sent_again_to_a_sink_that_would_double_it(tmp_path):
    sink = Taking(seconds=1.0)
    box = Outbox("taking", lambda: sink, tmp_path / "unsent", doubtful=tmp_path / "doubtful")
    for number in (1, 2, 3):
        box.put(event(number))
    time.sleep(0.3)
    box.close(0.2)
    assert read(tmp_path / "doubtful") == [event(1)]
    assert read(tmp_path / "unsent") == [event(2), event(3)]
    assert (box.unsent, box.in_doubt) == (2, 1)
    time.sleep(1.2)
    assert sink.taken == [event(1)]


def test_a_batch_that_fails_in_its_middle_doubles_nothing(tmp_path):
    sink = Doubling(failing=["t3", "t7"])
    box = Outbox("doubling", lambda: sink, tmp_path / "unsent", doubtful=tmp_path / "doubtful")
    for number in range(10):
        box.put(event(number))
    time.sleep(0.5)
    box.close()
    assert sink.taken == [event(number) for number in range(10)]
    assert not (tmp_path / "doubtful").exists()


def test_a_delivery_that_fails_in_its_middle_goes_on_where_it_was():
    sink, left = Doubling(failing=["t3", "t7"]), [event(number) for number in range(10)]
    outbox.deliver(lambda: sink, left, size=1)
    assert (sink.taken, left) == ([event(number) for number in range(10)], [])


def test_a_delivery_that_is_given_up_leaves_what_was_not_taken():
    sink, left = Doubling(failing=["t3"]), [event(number) for number in range(10)]
    with pytest.raises(sinks.SinkError):
        outbox.deliver(lambda: sink, left, patience_s=0.0, size=1)
    assert left == [event(number) for number in range(3, 10)]
