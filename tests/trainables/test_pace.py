import pytest

from trainables import pace
from trainables.pace import Pace


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    found = Clock()
    monkeypatch.setattr(pace, "time", found)
    return found


def test_work_waits_for_its_seconds(clock):
    found = Pace(seconds=2.0)
    assert found.due
    with found.working():
        pass
    clock.now += 1.9
    assert not found.due
    clock.now += 0.2
    assert found.due


def test_slow_work_takes_at_most_its_share_of_the_time(clock):
    found = Pace(seconds=2.0, share=0.1)
    with found.working():
        clock.now += 3.0
    clock.now += 26.0
    assert not found.due
    clock.now += 1.5
    assert found.due


def test_work_that_fails_is_work(clock):
    found = Pace(seconds=1.0)
    with pytest.raises(ValueError, match="full"), found.working():
        raise ValueError("the disk is full")
    assert not found.due
