"""What is known of the backbones before any image is looked at."""

import pytest

from trainables.models.candidates import CANDIDATES
from trainables.models.known import KNOWN, Known, family_of, known_of, relative_seconds
from trainables.models.selection import Origins, without_dominated

GOOD, POOR = "timm:tiny_vit_11m_224.dist_in22k_ft_in1k", "timm:resnet50.a1_in1k"


def test_something_is_known_of_every_candidate_and_of_nothing_else():
    assert list(KNOWN) == [candidate.name for candidate in CANDIDATES]
    for known in KNOWN.values():
        assert known.basis in ("measured", "ImageNet", "size")
        assert 0.5 < known.expected < 1.6
        assert all(seconds is None or seconds > 0 for seconds in (known.processor, known.gpu))
    assert KNOWN["timm:resnet50.a1_in1k"][2:] == (1.0, 1.0)


def test_a_name_without_a_tag_is_the_candidate_and_one_with_another_tag_is_not():
    candidate = "timm:tf_efficientnetv2_s.in21k_ft_in1k"
    assert known_of("timm:tf_efficientnetv2_s", 21.5) == KNOWN[candidate]
    other = known_of("timm:tf_efficientnetv2_s.in1k", 21.5)
    assert other.basis == "size"
    assert relative_seconds("timm:tf_efficientnetv2_s", "cpu") == KNOWN[candidate].processor
    assert relative_seconds("timm:tf_efficientnetv2_s.in1k", "cpu") is None


def test_of_unknown_models_the_larger_and_those_with_attention_are_expected_to_be_better():
    small, large = (known_of("timm:somenet", millions) for millions in (5.0, 50.0))
    assert large.expected < small.expected
    assert known_of("timm:some_vit", 5.0).expected < small.expected
    assert known_of("timm:somenet.in21k", 5.0).expected < small.expected
    assert small == Known(small.expected, "size", None, None)


def test_the_family_of_any_model_has_a_name():
    assert family_of("timm:tf_efficientnet_lite0") == family_of("timm:tf_efficientnet_lite0.in1k")
    assert family_of("timm:regnetx_002.pycls_in1k") == "regnetx"


def test_a_candidate_that_is_much_worse_and_no_faster_is_not_fetched():
    origins = without_dominated(
        Origins(dict.fromkeys((GOOD, POOR), "imagenet"), {"other": "why"}, ("n",)), "cpu"
    )
    assert list(origins.weights) == [GOOD]
    assert GOOD in origins.passed_over[POOR]
    assert "26% fewer errors" in origins.passed_over[POOR]
    assert origins.passed_over["other"] == "why"
    assert origins.notes[0] == "n"
    assert POOR in origins.notes[1]


@pytest.mark.parametrize(
    ("weights", "device"),
    [
        # Its weights are a file that a person gave.
        ({GOOD: "imagenet", POOR: "/weights/resnet50.pt"}, "cpu"),
        # On a GPU it is faster.
        ({GOOD: "imagenet", POOR: "imagenet"}, "cuda"),
        ({POOR: "imagenet"}, "cpu"),
        ({POOR: "imagenet", "timm:somenet": "imagenet"}, "cpu"),
    ],
)
def test_every_other_is_kept(weights, device):
    origins = without_dominated(Origins(weights, {}), device)
    assert origins == Origins(weights, {})
