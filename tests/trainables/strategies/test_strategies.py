import itertools

import pytest
import torch
from torch import Tensor, nn

from trainables import models, strategies
from trainables.config import TrialConfig
from trainables.errors import InvalidValue, UnknownName
from trainables.losses import training_loss
from trainables.models.classifier import Classifier
from trainables.models.empty import without_numbers
from trainables.optim import Schedule, build_optimizer
from trainables.strategies.groups import ParamGroup

IMAGE_SIZE = 32
BATCH = 3

PAIRS = [
    (model, strategy)
    for model, strategy in itertools.product(models.names(), strategies.names())
    if models.has_auxiliary(model) or not strategies.wants_auxiliary(strategy)
]

QUICK = ("googlenet", "resnet18")
STAGED = [(model, strategy) for model, strategy in PAIRS if model in QUICK or strategy == "staged_unfreeze"]
"""Every strategy on networks that are quick to train, and on the others the strategy that knows every stage apart."""


def config_of(model: str, strategy: str, **values: float) -> TrialConfig:
    own = {"unfreeze_at": 1} if strategy.endswith("_unfreeze") else {}
    return TrialConfig.resolve({"model": model, "strategy": strategy, "learning_rate": 1e-3, **own, **values})


def build(config: TrialConfig) -> Classifier:
    wanted = strategies.wants_auxiliary(config.strategy)
    return models.create(config.model, 3, auxiliary=wanted, dropout=config.dropout)


def train_one_step(
    classifier: Classifier, optimizer: torch.optim.Optimizer, auxiliary_weight: float | None
) -> None:
    outputs = classifier.classify(
        classifier.features(
            torch.randn(BATCH, 3, IMAGE_SIZE, IMAGE_SIZE), aux_inputs=len(classifier.auxiliary) > 0
        )
    )
    optimizer.zero_grad(set_to_none=True)
    training_loss(outputs, torch.tensor([0, 1, 2]), auxiliary_weight=auxiliary_weight).backward()
    optimizer.step()


@torch.no_grad()
def settle(classifier: Classifier) -> None:
    """Let the BatchNorms see pictures: by the statistics of fresh ones, GoogLeNet's outputs vanish in eval mode."""
    classifier.train()
    for norm in (module for module in classifier.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = 1.0
    classifier.features(torch.randn(BATCH, 3, IMAGE_SIZE, IMAGE_SIZE))


def snapshot(classifier: Classifier) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in classifier.state_dict().items()}


def moving_prefixes(config: TrialConfig, classifier: Classifier, epoch: int) -> set[int]:
    """Ids of the parameters that the strategy's own words say should move in `epoch`."""
    stages = list(reversed(classifier.stages))
    wait = config.unfreeze_at or 0
    unfrozen = {
        "full": len(stages),
        "full_aux": len(stages),
        "layerwise": len(stages),
        "probe_then_full": len(stages) if epoch > 1 else 0,
        "feature_extractor": 0,
        "linear_probe": 0,
        "gradual_unfreeze": len(stages) if epoch > wait else 0,
        "study_unfreeze": len(stages) if epoch > wait else 0,
        "staged_unfreeze": min(len(stages), (epoch - 1) // wait) if wait else 0,
    }.get(config.strategy)
    if unfrozen is None:
        # A strategy that has no words here yet is held to its own groups.
        groups = strategies.plan(config, classifier)
        return {id(p) for group in groups if group.trains_in(epoch) for p in group.parameters}
    moving = {id(p) for stage in stages[:unfrozen] for p in stage.parameters}
    return moving | {id(p) for part in (classifier.head, classifier.auxiliary) for p in part.parameters()}


def epochs_to_look_at(config: TrialConfig, classifier: Classifier) -> list[int]:
    last = strategies.last_unfreeze(config, len(classifier.stages))
    # A step of VGG16 or ResNet50 is slow: the first epoch, one between the unfreezes, and the first after the last.
    return sorted({1, 1 + last // 2, last, last + 1}) if last > 1 else [1, 2]


@pytest.mark.parametrize(("model", "strategy"), STAGED)
def test_exactly_what_should_move_moves_and_frozen_batchnorm_statistics_do_not(model: str, strategy: str):
    torch.manual_seed(0)
    # Plain dropout of VGG16 would leave rows of its large layers without gradient: nothing to see there.
    config = config_of(model, strategy, dropout=0.0, max_epochs=20)
    classifier = build(config)
    settle(classifier)
    groups = strategies.plan(config, classifier)
    optimizer = build_optimizer(groups, config)
    schedule = Schedule(optimizer, groups, config)
    for epoch in epochs_to_look_at(config, classifier):
        classifier.train()
        trainable = strategies.apply_freeze(groups, epoch)
        schedule.set_rates(epoch, 0.0)
        expected = moving_prefixes(config, classifier, epoch)
        before = snapshot(classifier)
        train_one_step(classifier, optimizer, config.auxiliary_weight)
        named = dict(classifier.named_parameters())
        assert trainable == sum(p.numel() for p in named.values() if id(p) in expected)
        moved = {
            name for name, value in classifier.state_dict().items() if not torch.equal(value, before[name])
        }
        for name, parameter in named.items():
            assert (name in moved) == (id(parameter) in expected), (epoch, name)
        for path, module in classifier.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                moves = id(module.weight) in expected and not strategies.solves_head(strategy)
                assert (f"{path}.running_mean" in moved) == moves, (epoch, path)


@pytest.mark.parametrize(("model", "strategy"), PAIRS)
def test_groups_are_disjoint_and_cover_every_parameter(model: str, strategy: str):
    config = config_of(model, strategy)
    with without_numbers():
        classifier = build(config)
    ids = [id(p) for group in strategies.plan(config, classifier) for p in group.parameters]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(p) for p in classifier.parameters()}
    names = [group.name for group in strategies.plan(config, classifier)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("model", "strategy"), PAIRS)
def test_the_last_unfreeze_and_the_full_epochs_agree_with_the_plan(model: str, strategy: str):
    config = config_of(model, strategy)
    with without_numbers():
        groups = strategies.plan(config, build(config))
    last = strategies.last_unfreeze(config, models.num_stages(model))
    assert last == max(group.from_epoch for group in groups if group.from_epoch)
    seen = [strategies.full_epochs(groups, epoch) for epoch in range(1, last + 3)]
    assert seen == [0] * (last - 1) + [1, 2, 3]


def small(strategy: str, **values: float) -> tuple[TrialConfig, Classifier, tuple[ParamGroup, ...]]:
    config = config_of("resnet18", strategy, **values)
    classifier = build(config)
    return config, classifier, strategies.plan(config, classifier)


def test_a_frozen_backbone_gives_the_same_features_twice_even_while_the_model_trains():
    config = config_of("vgg16", "feature_extractor")
    classifier = build(config)
    groups = strategies.plan(config, classifier)
    classifier.train()
    strategies.apply_freeze(groups, 1)
    assert not any(module.training for module in classifier.backbone.modules())
    assert classifier.head.training
    images = torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    with torch.no_grad():
        # VGG16's backbone has a dropout of its own between fc6 and fc7.
        assert torch.equal(classifier.features(images)[0], classifier.features(images)[0])


def test_gradual_unfreeze_moves_the_backbone_one_epoch_after_unfreeze_at():
    _, _, groups = small("gradual_unfreeze", unfreeze_at=3)
    frozen = [strategies.is_backbone_frozen(groups, epoch) for epoch in range(1, 6)]
    assert frozen == [True, True, True, False, False]
    assert [(group.name, group.from_epoch, group.learning_rate) for group in groups] == [
        ("backbone", 4, 1e-5),
        ("head", 1, 1e-3),
    ]


def test_staged_unfreeze_unfreezes_from_the_head_down_with_decaying_rates():
    _, _, groups = small("staged_unfreeze", unfreeze_at=2, backbone_learning_rate=1e-4, stage_decay=0.5)
    assert [(group.name, group.from_epoch) for group in groups] == [
        *(("stem", 11), ("layer1", 9), ("layer2", 7), ("layer3", 5), ("layer4", 3), ("head", 1)),
    ]
    expected = [1e-4 * 0.5**k for k in (4, 3, 2, 1, 0)]
    assert [group.learning_rate for group in groups[:-1]] == pytest.approx(expected)


def test_layerwise_trains_everything_at_once_the_nearer_to_the_input_the_slower():
    _, _, groups = small("layerwise", backbone_learning_rate=1e-4, stage_decay=0.5)
    assert [(group.name, group.from_epoch) for group in groups] == [
        *(("stem", 1), ("layer1", 1), ("layer2", 1), ("layer3", 1), ("layer4", 1), ("head", 1)),
    ]
    expected = [1e-4 * 0.5**k for k in (4, 3, 2, 1, 0)]
    assert [group.learning_rate for group in groups[:-1]] == pytest.approx(expected)
    assert len(small("layerwise", backbone_learning_rate=1e-4, stage_decay=1.0)[2]) == 2


def test_probe_then_full_has_one_rate_for_all_from_epoch_2():
    _, _, groups = small("probe_then_full", backbone_learning_rate=3e-5)
    assert [(group.name, group.from_epoch, group.learning_rate) for group in groups] == [
        ("backbone", 2, 3e-5),
        ("head", 1, 3e-5),
    ]
    assert small("probe_then_full")[2][0].learning_rate == 1e-5


def test_after_a_solved_head_batchnorms_normalise_by_the_statistics_that_it_was_solved_with():
    _, classifier, groups = small("probe_then_full")
    norms = [module for module in classifier.modules() if isinstance(module, nn.BatchNorm2d)]
    classifier.train()
    strategies.apply_freeze(groups, 2)
    assert norms
    assert not any(norm.training for norm in norms)
    assert all(norm.weight.requires_grad for norm in norms)
    assert classifier.head.training
    classifier.train()
    strategies.apply_freeze(small("full")[2], 2)
    assert all(norm.training for norm in norms)


def test_the_backbone_follows_the_heads_rate_unless_it_has_its_own():
    assert {group.learning_rate for group in small("full")[2]} == {1e-3}
    assert [group.learning_rate for group in small("full", backbone_learning_rate=1e-4)[2]] == [1e-4, 1e-3]


def test_an_unfrozen_module_trains_again_and_a_frozen_one_stops():
    _, classifier, groups = small("gradual_unfreeze", unfreeze_at=1)
    for epoch, training in ((2, True), (1, False), (2, True)):
        classifier.train()
        strategies.apply_freeze(groups, epoch)
        assert all(module.training is training for module in classifier.backbone.modules())
        assert all(parameter.requires_grad is training for parameter in classifier.backbone.parameters())


def test_auxiliary_heads_belong_to_googlenet_only():
    strategies.check("full_aux", "googlenet")
    for model in ("resnet18", "timm:resnet18"):
        with pytest.raises(InvalidValue, match="belongs to googlenet"):
            strategies.check("full_aux", model)


def test_an_unknown_strategy_is_answered_with_a_near_one():
    with pytest.raises(UnknownName, match="did you mean 'gradual_unfreeze'"):
        strategies.check("gradual_unfreze", "resnet18")


def test_a_timm_model_follows_every_strategy_but_full_aux():
    for strategy in strategies.names():
        if not strategies.wants_auxiliary(strategy):
            config = config_of("timm:vit_tiny_patch16_224", strategy)
            classifier = build(config)
            groups = strategies.plan(config, classifier)
            ids = [id(p) for group in groups for p in group.parameters]
            assert sorted(ids) == sorted(id(p) for p in classifier.parameters()), strategy
            assert strategies.last_unfreeze(config, models.num_stages(config.model)) >= max(
                group.from_epoch or 1 for group in groups
            )


def test_a_linear_probe_has_one_epoch_whatever_is_asked_and_no_backbone_rate_that_another_setting_made():
    config = config_of("resnet18", "linear_probe", max_epochs=12)
    assert config.probe_l2 == 0.01
    assert config.backbone_rate == config.learning_rate
    assert strategies.max_epochs(config) == 1
    assert strategies.frozen_epochs(config, models.num_stages("resnet18")) == 1
    assert strategies.max_epochs(config_of("resnet18", "full", max_epochs=12)) == 12
    assert [name for name in strategies.names() if strategies.is_linear_probe(name)] == ["linear_probe"]


def test_where_the_head_is_solved_and_trained_on_the_second_epoch_is_the_first_result():
    later = {name: strategies.first_result(name) for name in strategies.names()}
    assert later.pop("probe_then_full") == 2
    assert set(later.values()) == {1}
