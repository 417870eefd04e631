import time

import numpy as np
import pytest
import torch

from trainables.models import create
from tuner.evaluation.comparison import running_cost
from tuner.evaluation.comparison.running_cost import count_parameters, median_seconds, of_classifier, of_onnx
from tuner.release.folder import ModelSpec
from tuner.release.formats import write_formats
from tuner.release.portable import Portable


def test_the_median_of_many_calls_leaves_slow_ones_and_the_first_three_out(monkeypatch):
    durations = iter([9.0] * 3 + [7.0] * 2 + [0.02] * 100)
    now = 0.0

    def call():
        nonlocal now
        now += next(durations)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    assert median_seconds(call) == pytest.approx(0.02)


def test_a_cheap_call_is_repeated_for_a_third_of_a_second(monkeypatch):
    calls = 0

    def call():
        nonlocal calls
        calls += 1

    monkeypatch.setattr(time, "perf_counter", lambda: calls / 100)
    assert median_seconds(call) == pytest.approx(0.01)
    assert 30 <= calls - 3 <= 31


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_picture_of_the_asked_size_is_timed_on_one_thread(monkeypatch, two_threads):
    seen = []

    def timed(call):
        seen.append(torch.get_num_threads())
        call()
        return 0.125

    monkeypatch.setattr(running_cost, "median_seconds", timed)
    small, large = create("mobilenet_v2", 3), create("resnet18", 3)
    pictures = []
    for classifier in (small, large):
        classifier.register_forward_pre_hook(lambda module, inputs: pictures.append(tuple(inputs[0].shape)))
    first, second = of_classifier(small, 32), of_classifier(large, 160)
    assert [shape for shape in pictures if shape[0] == 1] == [(1, 3, 32, 32), (1, 3, 160, 160)]
    assert set(seen) == {1}
    assert (first.milliseconds, second.milliseconds) == (125.0, 125.0)
    assert second.megabytes > 4 * first.megabytes
    assert second.megabytes == pytest.approx(4e-6 * second.parameters, rel=0.01)
    assert first.parameters == sum(p.numel() for p in small.parameters())
    assert first.gpu_images_per_second is None or torch.cuda.is_available()
    assert torch.get_num_threads() == 2
    assert next(small.parameters()).device.type == "cpu"


def test_heads_that_only_train_are_not_counted():
    with_heads = create("googlenet", 3, auxiliary=True)
    assert count_parameters(with_heads) == count_parameters(create("googlenet", 3))
    assert count_parameters(with_heads, with_heads) == 2 * count_parameters(with_heads)


def test_an_exported_file_is_timed_and_weighed(tmp_path):
    classifier = create("resnet18", 3).eval()
    spec = ModelSpec("resnet18", ("a", "b", "c"), 32, 37, classifier.mean, classifier.std)
    write_formats(Portable(classifier), spec, tmp_path, np.zeros((2, 32, 32, 3), np.uint8))
    found = of_onnx(tmp_path / "model.onnx", count_parameters(classifier))
    assert found.megabytes == pytest.approx((tmp_path / "model.onnx").stat().st_size / 1e6)
    assert found.milliseconds > 0
    assert found.parameters == 11_178_051
