"""Which device a process takes, and at what precision, by the words of torch alone."""

import pytest
import torch

from trainables.errors import InvalidValue
from trainables.inference import best_device, choose_precision


@pytest.fixture
def has(monkeypatch):
    def of(cuda, mps, visible=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return of


@pytest.mark.parametrize(
    ("cuda", "mps", "visible", "device"),
    [
        (True, False, None, "cuda"),
        (True, True, "0", "cuda"),
        (False, True, None, "mps"),
        (False, True, "0", "mps"),
        (False, True, "", "cpu"),
        (False, False, None, "cpu"),
    ],
)
def test_the_device_is_the_gpu_that_this_process_may_use(has, cuda, mps, visible, device):
    has(cuda, mps, visible)
    assert best_device().type == device


def test_a_macs_gpu_computes_in_fp32_and_in_nothing_else():
    device = torch.device("mps")
    assert [choose_precision(wanted, device) for wanted in ("auto", "fp32")] == ["fp32", "fp32"]
    for wanted in ("bf16", "fp16"):
        with pytest.raises(InvalidValue, match="use fp32"):
            choose_precision(wanted, device)
