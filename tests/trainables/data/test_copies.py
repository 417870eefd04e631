"""The ring and the second stream, on a GPU that only takes notes."""

import contextlib
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from trainables.data import copies
from trainables.data.copies import PinnedRing, overlapped, send

CPU = torch.device("cpu")


@pytest.fixture
def gpu(monkeypatch):
    """What is told to streams and events, in order; each thread has its current stream."""
    said, current = [], threading.local()

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_event(self, event):
            said.append((self.name, "waits for", event.number))

        def wait_stream(self, other):
            said.append((self.name, "waits for", other.name))

    class Event:
        count = 0

        def __init__(self):
            Event.count += 1
            self.number = Event.count

        def record(self, stream):
            said.append((stream.name, "records", self.number))

        def synchronize(self):
            said.append(("processor", "waits for", self.number))

    main = Stream("training")

    @contextlib.contextmanager
    def entered(stream):
        current.stream = stream
        yield

    fake = SimpleNamespace(
        Stream=lambda device: Stream(),
        Event=Event,
        stream=entered,
        current_stream=lambda device: getattr(current, "stream", main),
    )
    monkeypatch.setattr(copies.torch, "cuda", fake)
    copies._stream.cache_clear()
    yield said
    copies._stream.cache_clear()


class Batch(SimpleNamespace):
    """A tensor on a GPU."""

    def record_stream(self, stream):
        self.read_by = stream.name


def test_batches_are_made_in_a_stream_of_their_own_that_the_trainings_stream_waits_for(gpu):
    made_in = []

    def source():
        for number in range(3):
            made_in.append(torch.cuda.current_stream(None).name)
            yield Batch(number=number)

    device = torch.device("cuda")
    got = list(overlapped(source(), device))
    assert [batch.number for batch in got] == [0, 1, 2]
    assert made_in == ["side"] * 3
    assert [batch.read_by for batch in got] == ["training"] * 3
    assert gpu[0] == ("side", "waits for", "training")
    for event in (1, 2, 3):
        recorded, waited = gpu.index(("side", "records", event)), gpu.index(("training", "waits for", event))
        assert recorded < waited
    assert not any(who == "processor" for who, *_ in gpu)


def test_every_tensor_of_a_batch_is_kept_until_it_is_read(gpu):
    ((first, second),) = overlapped(iter([(Batch(), Batch())]), torch.device("cuda"))
    assert (first.read_by, second.read_by) == ("training", "training")


def test_the_preparing_thread_ends_when_the_reader_leaves(gpu):
    before = threading.active_count()
    items = overlapped((Batch() for _ in range(100)), torch.device("cuda"))
    next(items)
    items.close()
    assert threading.active_count() == before


def test_without_a_gpu_there_is_no_stream(gpu):
    assert list(overlapped(iter([1, 2]), CPU)) == [1, 2]
    assert gpu == []


def sent(ring, values):
    array = np.array(values, np.float32)
    return ring.send(array.shape, torch.float32, lambda held: np.copyto(held, array))


def test_what_was_sent_stays_when_its_buffer_is_filled_again():
    ring = PinnedRing(CPU, depth=2)
    tensors = [sent(ring, [[number, number]]) for number in range(5)]
    assert torch.cat(tensors).tolist() == [[number, number] for number in range(5)]


def test_a_buffer_is_pinned_once_and_again_only_to_grow(monkeypatch):
    made, buffer = [], PinnedRing._buffer
    monkeypatch.setattr(PinnedRing, "_buffer", lambda self, size: made.append(size) or buffer(self, size))
    ring = PinnedRing(CPU, depth=2)
    for length in (4, 4, 3, 2, 1, 4, 8, 8, 4):
        sent(ring, range(length))
    assert made == [0, 0, 16, 16, 32, 32]


def test_a_buffer_is_filled_again_only_once_its_last_copy_is_done(gpu):
    ring = PinnedRing(CPU, depth=2)
    ring._on_gpu, ring._buffer = True, lambda size: torch.empty(size, dtype=torch.uint8)
    filled = []
    for number in range(4):
        gpu.append(("processor", "fills", number))
        filled.append(sent(ring, [number]))
    processor = [said for said in gpu if said[0] == "processor" or said[1] == "records"]
    assert processor == [
        ("processor", "fills", 0),
        ("training", "records", 1),
        ("processor", "fills", 1),
        ("training", "records", 2),
        ("processor", "fills", 2),
        ("processor", "waits for", 1),
        ("training", "records", 3),
        ("processor", "fills", 3),
        ("processor", "waits for", 2),
        ("training", "records", 4),
    ]


def test_a_tensor_that_is_where_it_should_be_is_not_copied():
    tensor = torch.ones(3)
    assert send(tensor, CPU) is tensor
