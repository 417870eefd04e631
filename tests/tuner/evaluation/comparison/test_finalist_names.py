"""One short name for each finalist, and none that is cut where names differ."""

from types import SimpleNamespace

import pytest

from tuner.evaluation.comparison.finalists import Finalist, labelled
from tuner.evaluation.comparison.names import short_models
from tuner.html.canvas import fit_all, lines


@pytest.mark.parametrize(
    ("models", "short"),
    [
        (["timm:tf_efficientnet_lite0.in1k", "timm:tf_efficientnet_lite1.in1k"], ["lite0", "lite1"]),
        (["timm:tf_efficientnet_lite0.in1k"], ["tf_efficientnet_lite0"]),
        (["googlenet", "resnet18"], ["googlenet", "resnet18"]),
        (["timm:vit_small.dino", "timm:vit_small.augreg"], ["dino", "augreg"]),
        (["timm:resnet18.a1", "resnet18"], ["resnet18.a1", "resnet18"]),
        (["timm:resnet18", "resnet18"], ["timm:resnet18", "resnet18"]),
        (["timm:resnet18.a1_in1k", "timm:resnet50.a1_in1k"], ["resnet18", "resnet50"]),
    ],
)
def test_models_lose_library_tag_and_common_beginning_as_long_as_names_differ(models, short):
    assert list(short_models(models).values()) == short


def finalist(number, model, strategy, *, smoothing=0.0, augmentation="light", mixup=0.0):
    config = SimpleNamespace(
        model=model,
        strategy=strategy,
        auxiliary_weight=None,
        label_smoothing=smoothing,
        class_weight_power=0.0,
        augmentation=augmentation,
        mixup=mixup,
        cutmix=mixup,
        schedule="cosine",
    )
    run = SimpleNamespace(path=SimpleNamespace(resolve=lambda: SimpleNamespace(name="run")))
    return Finalist(run, f"trial-{number}", "", {"number": number}, config, 0.1)


def test_a_finalist_is_named_by_backbone_strategy_and_what_differs():
    lite = "timm:tf_efficientnet_lite{}.in1k"
    found = labelled(
        [
            finalist(0, lite.format(0), "probe_then_full"),
            finalist(1, lite.format(0), "probe_then_full", smoothing=0.1),
            finalist(2, lite.format(0), "probe_then_full", smoothing=0.1),
            finalist(3, lite.format(1), "full"),
        ]
    )
    assert [one.label for one in found] == [
        "lite0 · probe then full",
        "lite0 · probe then full · smoothed #1",
        "lite0 · probe then full · smoothed #2",
        "lite1 · full",
    ]


def test_an_augmentation_that_is_not_the_usual_one_and_mixing_are_named():
    found = labelled(
        [
            finalist(0, "resnet18", "linear_probe", augmentation="strong", mixup=None),
            finalist(1, "resnet18", "full", augmentation="moderate"),
            finalist(2, "resnet50", "full", augmentation="moderate"),
            finalist(3, "resnet18", "full"),
            finalist(4, "resnet18", "full", augmentation="moderate", mixup=0.2),
        ]
    )
    assert [one.label for one in found] == [
        "resnet18 · linear probe",
        "resnet18 · full",
        "resnet50 · full",
        "resnet18 · full · light augmentation",
        "resnet18 · full · mixup · cutmix",
    ]


def test_of_one_backbone_and_one_strategy_both_are_named_all_the_same():
    assert [one.label for one in labelled([finalist(0, "resnet18", "full")])] == ["resnet18 · full"]


def test_names_are_never_cut_where_they_differ():
    models = [f"timm:tf_efficientnet_lite{number}.in1k_and_more" for number in range(3)]
    assert len(set(fit_all(models, 14))) == 3
    assert fit_all(["short", "a name that is long"], 9) == ["short", "a na…long"]
    label = "lite0 · probe then full · smoothed · class weights #8"
    assert lines(label, 30).replace("\n", " ") == label
