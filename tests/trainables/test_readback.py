"""Values that come back late, from a GPU that only takes notes."""

import math
from types import SimpleNamespace

import pytest
import torch
from pictures import trial_data
from torch.utils._python_dispatch import TorchDispatchMode

from trainables import readback
from trainables.config import TrialConfig
from trainables.divergence import LOOK_EVERY, LateWatch, Watch, watch_for
from trainables.errors import Diverged
from trainables.readback import Readback, read_back, read_back_each
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun


def test_what_is_on_the_processor_is_here_at_once():
    tensor = torch.ones(2)
    coming = Readback(tensor)
    assert coming.ready
    assert coming.value.tolist() == [1, 1]
    assert read_back(tensor).tolist() == [1, 1]


def test_each_is_read_while_the_next_one_is_computed():
    said = []

    def computed():
        for number in range(3):
            said.append(f"computes {number}")
            yield torch.tensor(number)

    for tensor in read_back_each(computed()):
        said.append(f"reads {int(tensor)}")
    assert said == ["computes 0", "computes 1", "reads 0", "computes 2", "reads 1", "reads 2"]


class OnGpu(SimpleNamespace):
    """A tensor of a GPU as far as `Readback` looks at it."""

    device, dtype = torch.device("cuda"), torch.float64

    @property
    def shape(self):
        return self.tensor.shape


@pytest.fixture
def gpu(monkeypatch):
    """Events that are done when the test says so."""
    state = SimpleNamespace(done=False, waited=0)

    class Event:
        def record(self, stream):
            pass

        def query(self):
            return state.done

        def synchronize(self):
            state.waited += 1

    empty = torch.empty

    def pinned(shape, dtype, pin_memory):
        assert pin_memory
        held = empty(shape, dtype=dtype)
        return SimpleNamespace(
            copy_=lambda source, non_blocking: non_blocking and held.copy_(source.tensor), clone=held.clone
        )

    monkeypatch.setattr(readback.torch, "empty", pinned)
    monkeypatch.setattr(
        readback.torch, "cuda", SimpleNamespace(Event=Event, current_stream=lambda device: None)
    )
    return state


def loss(value):
    return OnGpu(tensor=torch.tensor(value, dtype=torch.float64))


def test_a_value_of_a_gpu_is_copied_without_waiting_and_waited_for_when_it_is_read(gpu):
    coming = Readback(loss(3.0))
    assert (coming.ready, gpu.waited) == (False, 0)
    gpu.done = True
    assert coming.ready
    assert (float(coming.value), gpu.waited) == (3.0, 1)


def test_on_a_gpu_a_loss_is_looked_at_once_it_has_come_back_and_never_waited_for(gpu):
    watch = LateWatch(2)
    for batch in range(1, 7):
        watch.look(loss(math.nan if batch >= 2 else 1.0), 1, batch, 20)
    assert gpu.waited == 0
    gpu.done = True
    with pytest.raises(Diverged, match="epoch 1, batch 2 of 20: train_loss nan"):
        watch.look(loss(math.nan), 1, 7, 20)


def test_a_look_of_the_epoch_before_says_nothing_of_this_one(gpu):
    watch = LateWatch(2)
    watch.look(loss(math.nan), 1, 2, 2)
    gpu.done = True
    watch.look(loss(1.0), 2, 1, 2)
    assert gpu.waited == 0


def test_who_looks_when():
    assert watch_for(torch.device("cpu")).every == 1
    assert type(watch_for(torch.device("cuda"))) is LateWatch
    others = watch_for(torch.device("mps"))
    assert (type(others), others.every) == (Watch, LOOK_EVERY)


class Reads(TorchDispatchMode):
    """Counts the values that the processor asks for, each of which a GPU would have to finish its work for."""

    count = 0

    def __torch_dispatch__(self, operation, types, given=(), named=None):
        self.count += "_local_scalar_dense" in str(operation)
        return operation(*given, **(named or {}))


class Blind(Watch):
    """Never looks."""

    def look(self, *given):
        pass


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"mixup": 0.4, "ema_decay": 0.9},
        {"model": "googlenet", "strategy": "full_aux", "class_weight_power": 0.5, "sampler": "weighted"},
    ],
)
def test_nothing_is_read_from_the_device_a_batch(tmp_path, parameters):
    counts = []
    for batch_size in (8, 2):
        values = {"model": "timm:test_resnet", "strategy": "full", "batch_size": batch_size, "max_epochs": 2}
        run = TrainingRun(
            TrialConfig.resolve({**values, **parameters}), trial_data(tmp_path), ComputeConfig(32)
        )
        run.watch = Blind(1)
        run.step()
        with Reads() as reads:
            run._train(2)
        counts.append(reads.count)
    assert counts[0] == counts[1]


def test_a_loss_that_was_never_looked_at_is_found_at_the_end_of_the_epoch(tmp_path):
    values = {"model": "timm:test_resnet", "strategy": "full", "batch_size": 4, "max_epochs": 2}
    run = TrainingRun(TrialConfig.resolve(values), trial_data(tmp_path), ComputeConfig(32))
    run.watch = Blind(1)
    update = run._update
    run._update = lambda *given: (update(*given)[0] * math.nan, torch.zeros(len(given[1]), 3))
    run.validate = lambda epoch: pytest.fail("validated")
    with pytest.raises(Diverged, match="batch 6 of 6"):
        run.step()
