"""Sizes that a network can't take are found out by one forward pass without numbers."""

import pytest
import torch
from families import SMALLEST as OF_EACH_FAMILY

from trainables import image_size, models
from trainables.errors import InvalidValue
from trainables.image_size import SMALLEST, require_size, trouble_at

ONE_SIZE = "timm:mixer_s32_224"


@pytest.mark.parametrize("name", sorted({*models.names(), *OF_EACH_FAMILY}))
def test_what_is_registered_and_one_candidate_of_each_family_takes_every_size_from_the_smallest_on(name):
    with torch.device("meta"):
        origin = models.source(name)
        network = origin.trunk(origin.build()).eval()
        for side in (SMALLEST, SMALLEST + 13):
            with torch.no_grad():
                assert network(torch.zeros(2, 3, side, side)).shape[0] == 2


def test_a_network_of_one_size_is_refused_at_others_with_the_size_to_give():
    assert trouble_at(ONE_SIZE, 224) is None
    trouble = trouble_at(ONE_SIZE, 32)
    assert trouble.startswith(
        "it fails at 32 px (AssertionError: Input height (32) doesn't match model (224)."
    )
    assert trouble.endswith("; --image-size 224 would do")
    with pytest.raises(InvalidValue) as caught:
        require_size(["resnet18", ONE_SIZE], 32)
    assert str(caught.value) == f"--image-size 32: model {ONE_SIZE}: {trouble}, or leave it out"


def test_images_that_are_too_small_for_a_network_are_refused():
    assert "Output size is too small" in trouble_at("vgg16", 16)
    require_size(["vgg16", "resnet18"], SMALLEST)


def test_random_numbers_are_left_as_they_were():
    torch.manual_seed(0)
    wanted = torch.rand(1)
    torch.manual_seed(0)
    trouble_at("timm:test_resnet", 40)
    assert torch.rand(1) == wanted


def test_what_only_the_meta_device_can_not_do_is_tried_with_numbers(monkeypatch):
    error_at = image_size._error_at
    monkeypatch.setattr(
        image_size,
        "_error_at",
        lambda name, side, device: (
            NotImplementedError() if device == "meta" else error_at(name, side, device)
        ),
    )
    assert trouble_at("timm:test_resnet", 41) is None
    assert trouble_at("vgg16", 15).startswith("it fails at 15 px (RuntimeError: ")
