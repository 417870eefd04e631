"""Depthwise convolutions in bf16 on a processor: the same outputs, and gradients at least as exact."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trainables import depthwise
from trainables.depthwise import quick_gradients
from trainables.inference import autocast
from trainables.models import create

CPU = torch.device("cpu")


@pytest.fixture
def convolved(monkeypatch):
    """The geometries of the convolutions that were differentiated in fp32."""
    seen, apply = [], depthwise._Convolution.apply

    def noted(*args):
        seen.append((tuple(args[1].shape), tuple(args[3])))
        return apply(*args)

    monkeypatch.setattr(depthwise._Convolution, "apply", noted)
    return seen


def gradients(module, pictures, precision="bf16", quick=True):
    """Output and gradients of the sum of its squares by pictures and parameters."""
    inputs = pictures.clone().requires_grad_()
    module.zero_grad()
    with autocast(CPU, precision), quick_gradients(CPU, precision if quick else "fp32"):
        output = module(inputs)
    output.float().square().sum().backward()
    return output, [inputs.grad, *(one.grad for one in module.parameters())]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 2, 1), (5, 1, 1), (5, 2, 1), (7, 1, 1), (5, 1, 2)]
)
def test_gradients_are_those_of_fp32_up_to_bf16(convolved, kernel, stride, dilation, bias):
    torch.manual_seed(0)
    module = nn.Conv2d(8, 8, kernel, stride, kernel // 2, dilation, groups=8, bias=bias)
    pictures = torch.randn(3, 8, 15, 15).to(memory_format=torch.channels_last)
    output, found = gradients(module, pictures)
    usual, _ = gradients(module, pictures, quick=False)
    assert torch.equal(output, usual)
    assert output.dtype == torch.bfloat16
    assert convolved == [((8, 1, kernel, kernel), (stride, stride))]
    _, exact = gradients(module, pictures, "fp32")
    for one, expected in zip(found, exact, strict=True):
        assert one.dtype == torch.float32
        assert float((one - expected).norm() / expected.norm()) < 0.01


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 16, 5, padding=2, groups=8),
        nn.Conv2d(8, 8, 5, padding=2, groups=4),
        nn.Conv2d(8, 8, 3, 2, padding=1),
        nn.Conv2d(8, 8, 5, padding="same", groups=8),
    ],
)
def test_what_is_not_slow_goes_the_usual_way(convolved, module):
    gradients(module, torch.randn(2, 8, 9, 9))
    assert convolved == []


def test_in_fp32_without_gradients_and_on_a_gpu_nothing_changes(convolved):
    module, pictures = nn.Conv2d(8, 8, 5, padding=2, groups=8), torch.randn(2, 8, 9, 9)
    gradients(module, pictures, "fp32")
    with torch.no_grad(), autocast(CPU, "bf16"), quick_gradients(CPU, "bf16"):
        module(pictures)
    with autocast(CPU, "bf16"), quick_gradients(torch.device("cuda"), "bf16"):
        module(pictures)
    assert convolved == []


def test_a_frozen_weight_has_no_gradient(convolved):
    module = nn.Conv2d(8, 8, 5, padding=2, groups=8)
    module.weight.requires_grad_(False)
    _, (by_pictures, by_weight, by_bias) = gradients(module, torch.randn(2, 8, 9, 9))
    assert len(convolved) == 1
    assert by_weight is None
    assert by_pictures is not None
    assert by_bias is not None


@pytest.mark.parametrize("model", ["mobilenet_v2", "timm:tf_efficientnet_lite0", "timm:convnext_atto"])
def test_a_network_is_differentiated_alike(convolved, model):
    classifier = create(model, 3, weights="none", dropout=0.0, seed=0).train()
    pictures = torch.randn(4, 3, 64, 64)

    def one(quick):
        classifier.zero_grad()
        with autocast(CPU, "bf16"), quick_gradients(CPU, "bf16" if quick else "fp32"):
            loss = F.cross_entropy(classifier(pictures).float(), torch.tensor([0, 1, 2, 0]))
        loss.backward()
        return loss, torch.cat([p.grad.flatten() for p in classifier.parameters() if p.grad is not None])

    (loss, found), (usual, expected) = one(True), one(False)
    assert len(convolved) > 3
    assert loss == usual
    assert float((found - expected).norm() / expected.norm()) < 0.05
