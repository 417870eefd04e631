import time

import numpy as np
import pytest
import torch

from trainables.models import create
from tuner.evaluation.running_cost import count_parameters, median_seconds, of_classifier, of_onnx
from tuner.release.folder import ModelSpec
from tuner.release.formats import write_formats
from tuner.release.portable import Portable


def test_the_median_of_many_calls_leaves_a_slow_one_out():
    calls = iter([0.0] * 5 + [0.2] + [0.02] * 100)
    assert median_seconds(lambda: time.sleep(next(calls))) == pytest.approx(0.02, abs=0.015)


def test_a_larger_picture_and_a_larger_model_take_longer_and_threads_stay_as_they_were():
    small, large = create("mobilenet_v2", 3), create("resnet18", 3)
    threads = torch.get_num_threads()
    first, wide, second = of_classifier(small, 32), of_classifier(small, 160), of_classifier(large, 160)
    assert wide.milliseconds > 1.5 * first.milliseconds
    assert second.megabytes > 4 * first.megabytes
    assert second.megabytes == pytest.approx(4e-6 * second.parameters, rel=0.01)
    assert first.parameters == sum(p.numel() for p in small.parameters())
    assert first.gpu_images_per_second is None or torch.cuda.is_available()
    assert torch.get_num_threads() == threads
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
    assert 0 < found.milliseconds < 1000
    assert found.parameters == 11_178_051
