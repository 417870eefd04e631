import os
import signal
import time

import pytest

from tuner.cluster import signals
from tuner.cluster.signals import Signals


def test_a_signal_is_heard_and_the_handlers_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    heard = signals.threading.Event()
    with Signals() as caught:
        caught.stop = heard.set
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard.wait(10)
    assert caught.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_where_a_pipe_can_not_wake_the_signals_stay_whose_they_are(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(signals.os, "name", "nt")
    with Signals() as caught:
        caught.arm()
        assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_asks_for_it_is_interrupted_in_the_main_thread_by_either_signal(number):
    with Signals(raises=True) as caught:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        deadline = time.monotonic() + 10
        while not caught.asked and time.monotonic() < deadline:
            time.sleep(0.01)
    assert caught.asked


def test_who_asks_is_heard_as_a_signal_is():
    heard = []
    with Signals() as signals:
        signals.ask()
        assert signals.asked
        signals.stop = lambda: heard.append(1)
        signals.ask()
    assert heard == [1]
