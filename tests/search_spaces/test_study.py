"""The spaces that repeat the study, against its facts: every number here is written out, none taken from the code."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
from pictures import trial_data

import search_spaces
from search_spaces import portfolio, study
from search_spaces.googlenet_full import first_trials as full_first_trials
from trainables import augmentations
from trainables.config import TrialConfig
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun

STEP = {"schedule": "step", "step_size": 10, "gamma": 0.5}
STEEP = {"schedule": "step", "step_size": 10, "gamma": 0.1}
PLATEAU = {"schedule": "plateau", "plateau_factor": 0.5, "plateau_patience": 2, "plateau_min_lr": 1e-6}
COMMON = {
    "model": "googlenet",
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "batch_size": 32,
    "max_epochs": 50,
    "patience": 5,
    "weight_decay": 0.0,
    "class_weight_power": 0.0,
    "sampler": "shuffle",
    "augmentation": "study",
}
FULL = {"strategy": "full", "auxiliary_weight": None, "min_delta": 0.001}
UNTRAINED = {"strategy": "full_aux", "auxiliary_weight": 0.0, "min_delta": 0.001}
HEADS_FIRST = {
    "strategy": "study_unfreeze",
    "unfreeze_at": 5,
    "backbone_learning_rate": 1e-5,
    "auxiliary_weight": None,
    "min_delta": 0.001,
}

NINE: list[tuple[str, tuple[float, ...], dict[str, Any]]] = [
    ("googlenet", (94.36, 82.11, 82.35), {**FULL, **STEP, "label_smoothing": 0.0}),
    ("googlenet_finetuned", (82.60, 93.87), {**UNTRAINED, **STEP, "label_smoothing": 0.0}),
    ("googlenet_gradual_unfreeze", (91.42, 92.16), {**HEADS_FIRST, **STEP, "label_smoothing": 0.0}),
    ("googlenet_smooth", (97.06,), {**FULL, **STEEP, "label_smoothing": 0.1}),
    ("googlenet_finetuned_smooth", (87.25,), {**UNTRAINED, **STEEP, "label_smoothing": 0.1}),
    ("googlenet_gu_smooth", (85.78,), {**HEADS_FIRST, **STEEP, "label_smoothing": 0.1}),
    ("googlenet_smooth_rlrop", (87.99,), {**FULL, **PLATEAU, "label_smoothing": 0.1}),
    ("googlenet_finetuned_smooth_rlrop", (96.81,), {**UNTRAINED, **PLATEAU, "label_smoothing": 0.1}),
    (
        "googlenet_gu_smooth_rlrop",
        (88.24,),
        {**HEADS_FIRST, **PLATEAU, "label_smoothing": 0.1, "min_delta": 0.01},
    ),
]


def configs_of(name: str) -> list[TrialConfig]:
    space = search_spaces.load(name)
    max_epochs = space.defaults["max_epochs"]
    return [
        search_spaces.configure(space, optuna.trial.FixedTrial(given), {"max_epochs": max_epochs}, {})
        for given in search_spaces.first_trials(space, max_epochs, {})
    ]


def published_of(name: str, config: TrialConfig) -> list[search_spaces.Published]:
    rows = search_spaces.load(name).published
    return [row for row in rows if all(getattr(config, k) == v for k, v in row.parameters.items())]


@pytest.mark.parametrize("number", range(1, 10))
def test_a_run_of_the_nine_has_the_studys_settings_its_name_and_its_figures(number: int):
    name, accuracies, settings = NINE[number - 1]
    config = configs_of("googlenet_grid")[number - 1]
    assert {key: getattr(config, key) for key in {**COMMON, **settings}} == {**COMMON, **settings}
    (row,) = published_of("googlenet_grid", config)
    assert (row.name, row.accuracies) == (name, accuracies)


def test_the_tenth_is_the_feature_extractor_and_the_eleventh_what_fine_tuned_was_meant_to_be():
    configs = configs_of("googlenet_grid")
    assert len(configs) == 11
    tenth, eleventh = configs[9:]
    for config, strategy, weight in ((tenth, "feature_extractor", None), (eleventh, "full_aux", 0.3)):
        expected = {
            **COMMON,
            **STEP,
            "label_smoothing": 0.0,
            "strategy": strategy,
            "auxiliary_weight": weight,
        }
        assert {key: getattr(config, key) for key in expected} == expected
    (row,) = published_of("googlenet_grid", tenth)
    assert row.accuracies == (79.90,)
    assert published_of("googlenet_grid", eleventh) == []


def test_all_rows_of_the_grid_are_told_apart():
    configs = configs_of("googlenet_grid")
    assert len({replace(config, seed=0) for config in configs}) == 11
    assert len({config.combination for config in configs}) == 11


def test_three_pairs_are_one_configuration_trained_twice_and_differ_by_up_to_twelve_points():
    space = search_spaces.load("googlenet_grid")
    own = {row.name: row.accuracies[0] for row in space.published}
    differences = [round(abs(own[a] - own[b]), 2) for a, b in space.background.pairs]
    assert differences == [11.76, 9.81, 8.82]
    configs = dict(zip([name for name, _, _ in NINE], configs_of("googlenet_grid"), strict=False))
    for a, b in space.background.pairs:
        untrained = replace(configs[b], strategy="full", auxiliary_weight=None)
        assert untrained == configs[a]


def test_imbalance_has_the_studys_two_runs_and_the_two_that_complete_them():
    configs = configs_of("imbalance")
    seen = [(c.sampler, c.class_weight_power) for c in configs]
    assert seen == [("shuffle", 0.0), ("weighted", 1.0), ("weighted", 0.0), ("shuffle", 1.0)]
    expected = {**COMMON, **STEP, **FULL, "model": "resnet50", "label_smoothing": 0.0}
    del expected["class_weight_power"], expected["sampler"]
    for config in configs:
        assert {key: getattr(config, key) for key in expected} == expected
    figures = [[row.accuracies for row in published_of("imbalance", config)] for config in configs]
    assert figures == [[(96.30,)], [(95.83,)], [], []]
    assert study.IMBALANCE_LOSSES == (0.1762, 0.1901)
    assert pytest.approx((1, 1, 1000 / 152)) == study.LOSS_WEIGHTS


def test_backbones_are_the_studys_five():
    configs = configs_of("backbones")
    expected = {**COMMON, **STEP, **FULL, "label_smoothing": 0.0}
    del expected["model"]
    for config in configs:
        assert {key: getattr(config, key) for key in expected} == expected
    assert [(config.model, published_of("backbones", config)[0].accuracies) for config in configs] == [
        ("resnet50", (97.79,)),
        ("vgg16", (99.75,)),
        ("mobilenet_v2", (100.0,)),
        ("googlenet", (82.35, 82.11, 94.36)),
        ("resnet18", (100.0,)),
    ]
    assert study.RESNET50_LOSS == 0.1191
    assert study.BACKBONE_FIGURES == {
        "VGG16": (98.21, 99.76, 99.75),
        "MobileNet": (98.01, 100.0, 100.0),
        "GoogLeNet": (98.01, 99.27, 82.35),
        "ResNet18": (98.26, 100.0, 100.0),
    }


def test_the_final_epochs_images_and_split_are_the_studys():
    assert study.FINAL_EPOCH_FIGURES == {
        "googlenet": (98.01, 99.27, 82.11),
        "googlenet_finetuned": (98.21, 99.51, 93.87),
        "googlenet_feature_extractor": (81.01, 72.37, 79.90),
        "googlenet_gradual_unfreeze": (96.95, 98.53, 92.16),
    }
    assert (study.CLASS_IMAGES, study.SPLIT_IMAGES) == ((1000, 1000, 152), (1721, 215, 216))
    assert sum(study.CLASS_IMAGES) == sum(study.SPLIT_IMAGES)
    assert study.IMAGE_SIZE == 224


def test_what_is_read_into_the_study_is_marked_as_a_reading():
    every = {**study.COMMON, **study.STEP, **study.PLATEAU, "unfreeze_at": study.UNFREEZE_AT}
    assert {name for name, fact in every.items() if fact.reading} == {"learning_rate", "gamma"}
    assert all(len(fact.origin) > 10 for fact in every.values())


def test_googlenet_full_has_the_studys_configurations_each_once_after_the_portfolio():
    configs = configs_of("googlenet_full")[len(portfolio.CHOSEN) :]
    expected = [NINE[i][2] for i in (0, 2, 3, 5, 6, 8)]
    for config, settings in zip(configs, expected, strict=False):
        wanted = {**COMMON, **settings, "min_delta": 0.001, "weight_decay": 1e-7}
        assert {key: getattr(config, key) for key in wanted} == wanted
        assert config.backbone_rate == (1e-5 if config.strategy == "study_unfreeze" else 1e-4)
    assert [config.strategy for config in configs[6:]] == ["feature_extractor", "full_aux"]
    assert configs[-1].auxiliary_weight == 0.3


def test_googlenet_fulls_ranges_hold_the_studys_values_with_room_on_both_sides():
    space = search_spaces.load("googlenet_full")
    epochs = space.defaults["max_epochs"]
    from search_spaces._checking import random_study

    ranges: dict[str, Any] = {}
    ask = random_study()
    for _ in range(300):
        trial = ask.ask()
        search_spaces.configure(space, trial, {"max_epochs": epochs}, {})
        ranges |= trial.distributions
    inside = {
        "learning_rate": (1e-4,),
        "backbone_learning_rate": (1e-4, 1e-5),
        "unfreeze_at": (5,),
        "label_smoothing": (0.1,),
        "plateau_factor": (0.5,),
        "plateau_patience": (2,),
        "step_size": (10,),
        "gamma": (0.5, 0.1),
        "dropout": (0.2,),
        "auxiliary_weight": (0.3,),
    }
    for name, values in inside.items():
        assert all(ranges[name].low < value < ranges[name].high for value in values), name
    assert (ranges["class_weight_power"].low, ranges["class_weight_power"].high) == (0.0, 1.0)
    assert ranges["augmentation"].choices == augmentations.names()
    assert len(full_first_trials(1)) < len(full_first_trials(epochs))


def test_untrained_auxiliary_heads_change_nothing(tmp_path):
    data = trial_data(tmp_path)
    first, second = configs_of("googlenet_grid")[:2]
    histories = []
    for config in (first, second):
        short = replace(config, seed=7, max_epochs=2, batch_size=8)
        run = TrainingRun(short, data, ComputeConfig(32))
        histories.append([(m.train_loss, m.val_loss, m.scores["val_accuracy"]) for m in run.epochs()])
        assert len(run.classifier.auxiliary) == (2 if config is second else 0)
    assert histories[0] == histories[1]
