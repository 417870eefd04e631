import pytest
import torch
from torch import nn

from trainables.folding import folded
from trainables.models import create
from trainables.models.classifier import Classifier
from trainables.models.stages import stage_of

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def classifier_of(backbone, width=4):
    stages = (stage_of("all", [backbone]),)
    return Classifier(backbone, width, 3, stages, dropout=0.0, mean=(0.5,) * 3, std=(0.5,) * 3).eval()


def norm(channels):
    """A BatchNorm that has seen pictures: without it changes nothing."""
    found = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(1)
    for tensor in (found.running_mean, found.running_var, found.weight.data, found.bias.data):
        tensor.uniform_(0.5, 2.0, generator=generator)
    return found


class Shared(nn.Module):
    """A convolution whose output two modules read."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), norm(4)

    def forward(self, images):
        found = self.convolution(images)
        return (self.norm(found) + found).mean((2, 3))


class Twice(nn.Module):
    """A convolution that is asked twice, once without the BatchNorm after it."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 3), norm(3)

    def forward(self, images):
        return self.convolution(self.norm(self.convolution(images))).mean((2, 3))


@pytest.mark.parametrize(
    "name", ["googlenet", "mobilenet_v2", "timm:test_resnet", "timm:test_efficientnet", "timm:resnetv2_18"]
)
@torch.inference_mode()
def test_a_folded_network_answers_the_same_and_the_network_itself_stays_as_it_is(name):
    classifier = create(name, 3).eval()
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.load_state_dict(norm(module.num_features).state_dict())
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    wanted = classifier.features(IMAGES)[0]
    quick = folded(classifier, IMAGES[:1], "fp32")
    assert quick is not classifier
    torch.testing.assert_close(
        quick.features(IMAGES)[0], wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max())
    )
    torch.testing.assert_close(classifier.features(IMAGES)[0], wanted, rtol=0, atol=0)
    for key, value in classifier.state_dict().items():
        assert torch.equal(value, before[key])


def test_an_activation_within_the_norm_is_kept():
    from timm.layers import BatchNormAct2d

    inner = BatchNormAct2d(4, act_layer=nn.ReLU)
    inner.load_state_dict(norm(4).state_dict())
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), inner, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = classifier_of(backbone)
    quick = folded(classifier, IMAGES, "fp32")
    assert quick is not classifier
    assert quick.features(IMAGES)[0].min() >= 0
    torch.testing.assert_close(quick.features(IMAGES)[0], classifier.features(IMAGES)[0])


@pytest.mark.parametrize("backbone", [Shared(), Twice()], ids=["shared", "twice"])
def test_what_others_read_as_well_is_not_folded(backbone):
    classifier = classifier_of(backbone)
    assert folded(classifier, IMAGES, "fp32") is classifier


def test_a_norm_that_trains_half_precision_and_a_network_without_norms_are_left_alone():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), norm(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = classifier_of(backbone)
    assert folded(classifier, IMAGES, "fp32") is not classifier
    assert folded(classifier, IMAGES, "bf16") is classifier
    assert folded(classifier.train(), IMAGES, "fp32") is classifier
    plain = classifier_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert folded(plain, IMAGES, "fp32") is plain
