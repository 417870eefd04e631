"""Which way gradients take, with a recorder on the CPU that repeats the work instead of a GPU's graphs."""

import pytest
import torch
from pictures import trial_data

from trainables import training_step
from trainables.config import TrialConfig
from trainables.graphs import FEW_STEPS, recorder_for
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun


class Repeating:
    """Repeats work on the same memory as a graph would; `speed` is how many times as fast it claims to be."""

    def __init__(self, run, speed=2.0, spoil=0.0, error=None):
        self.run, self.speed, self.spoil, self.error = run, speed, spoil, error
        self.recorded, self.replays = 0, 0
        self.graph = None

    def record(self, work):
        if self.error is not None:
            raise self.error
        for _ in range(3):
            work()
        self.recorded += 1
        found = work()
        written = {p: p.grad for p in self.run().classifier.parameters() if p.grad is not None}

        def replay():
            self.replays += 1
            attached = {p: p.grad for p in self.run().classifier.parameters()}
            for old, new in zip(found, work(), strict=True):
                old.copy_(new + self.spoil)
            for parameter, gradient in written.items():
                gradient.copy_(parameter.grad + self.spoil)
            # A graph knows nothing of what hangs at a parameter by now.
            for parameter, gradient in attached.items():
                parameter.grad = gradient

        return replay, found

    def seconds(self, work):
        before = self.replays
        work()
        return 1.0 / self.speed if self.replays > before else 1.0


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Makes the same trial on the usual way and with such a recorder; many epochs, of which a test makes few."""
    data = trial_data(tmp_path, {"blue": 12, "green": 12, "red": 9})

    def make(recorder=None, **parameters):
        values = {
            "model": "timm:test_resnet",
            "strategy": "full",
            "batch_size": 4,
            "max_epochs": 100,
            "dropout": 0.5,
        }
        config = TrialConfig.resolve({"patience": 0, **values, **parameters})
        found = []
        maker = None if recorder is None else Repeating(lambda: found[0], **recorder)
        monkeypatch.setattr(training_step, "recorder_for", lambda device: maker)
        found.append(TrainingRun(config, data, ComputeConfig(32)))
        return found[0], maker

    return make


def measured(run, epochs=2):
    """What `epochs` epochs measured, and all weights and statistics after them."""
    for _ in range(epochs):
        run.step()
    timeless = [
        {name: value for name, value in vars(one).items() if name not in ("epoch_seconds", "time")}
        for one in run.history
    ]
    return timeless, run.classifier.state_dict()


def assert_equal(first, second):
    assert first[0] == second[0]
    assert first[1].keys() == second[1].keys()
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"mixup": 0.4, "cutmix": 1.0},
        {"model": "googlenet", "strategy": "full_aux", "class_weight_power": 0.5, "label_smoothing": 0.1},
        {"ema_decay": 0.9, "schedule": "cosine"},
    ],
)
def test_epochs_of_recorded_steps_equal_those_of_the_usual_way(runs, parameters):
    usual, _ = runs(**parameters)
    recorded, recorder = runs({}, **parameters)
    assert_equal(measured(usual), measured(recorded))
    # 25 training images: five whole batches an epoch, and one of five images that takes the usual way.
    assert recorder.replays >= 2 * 5
    assert recorded.applied()["step"] == "graph, 2.00 times as fast as eager"
    assert usual.applied()["step"] == "eager"


def test_what_is_recorded_is_recorded_anew_when_other_parameters_train(runs):
    parameters = {"strategy": "gradual_unfreeze", "unfreeze_at": 1}
    usual, _ = runs(**parameters)
    recorded, recorder = runs({}, **parameters)
    assert_equal(measured(usual, 4), measured(recorded, 4))
    groups = {tuple(group.trains_in(epoch) for group in recorded.groups) for epoch in range(1, 5)}
    assert recorder.recorded == len(groups) > 1


@pytest.mark.parametrize(
    ("recorder", "said"),
    [
        ({"speed": 1.02}, "eager; a graph is 1.02 times as fast"),
        ({"spoil": 0.3}, "eager; a graph differs by"),
        (
            {"error": RuntimeError("CUDA error: operation not permitted when stream is capturing")},
            "eager; it can't",
        ),
        ({"error": torch.OutOfMemoryError("CUDA out of memory")}, "eager; it can't be recorded: CUDA out of"),
    ],
)
def test_a_recording_that_is_no_faster_or_wrong_or_impossible_is_left_and_the_usual_way_is_taken(
    runs, recorder, said
):
    usual, _ = runs()
    run, _ = runs(recorder)
    assert_equal(measured(usual), measured(run))
    assert run.applied()["step"].startswith(said)


def test_an_error_that_has_nothing_to_do_with_recording_is_raised(runs):
    run, _ = runs({"error": RuntimeError("CUDA error: an illegal memory access was encountered")})
    with pytest.raises(RuntimeError, match="illegal memory access"):
        run.step()


def test_a_trial_of_few_steps_and_batches_in_parts_are_not_recorded(runs):
    short, recorder = runs({}, max_epochs=2)
    assert FEW_STEPS > 2 * 7
    short.step()
    assert recorder.recorded == 0
    parts, recorder = runs({})
    parts.split_batches(2)
    parts.step()
    assert recorder.recorded == 0


def test_without_an_nvidia_gpu_nothing_is_recorded():
    assert recorder_for(torch.device("cpu")) is None
    assert recorder_for(torch.device("mps")) is None
