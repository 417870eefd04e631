"""Networks without numbers."""

import pytest
import torch

from trainables import models
from trainables.models.empty import without_numbers

NAMES = ["googlenet", "timm:test_vit", "timm:test_convnext", "timm:eva02_tiny_patch14_224.mim_in22k"]


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_numbers_is_as_the_device_alone_leaves_it(name):
    with torch.device("meta"):
        expected = models.source(name).build()
    with without_numbers():
        built = models.source(name).build()
    for one, other in (
        (built.named_parameters(), expected.named_parameters()),
        (built.named_buffers(), expected.named_buffers()),
    ):
        one, other = dict(one), dict(other)
        assert one.keys() == other.keys()
        assert all(tensor.is_meta for tensor in one.values())
        for key, tensor in one.items():
            assert (tensor.shape, tensor.dtype) == (other[key].shape, other[key].dtype)
            assert tensor.requires_grad == other[key].requires_grad


def test_tensors_with_numbers_are_filled_and_so_is_what_comes_afterwards():
    real = torch.zeros(3, device="cpu")
    with without_numbers():
        real.fill_(2.0)
        assert torch.empty(2).is_meta
    layer = torch.nn.Linear(2, 2)
    torch.nn.init.ones_(layer.weight)
    assert real.tolist() == [2.0, 2.0, 2.0]
    assert layer.weight.tolist() == [[1.0, 1.0], [1.0, 1.0]]
