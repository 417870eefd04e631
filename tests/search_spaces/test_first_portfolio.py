"""The first trials that recorded curves have chosen."""

import pytest

import search_spaces
from search_spaces import field_of, portfolio
from trainables.config import TrialConfig

GOOGLENET = "googlenet"


def test_there_are_four_of_more_than_one_kind():
    assert len(portfolio.CHOSEN) == 4
    assert len({one["strategy"] for one in portfolio.CHOSEN}) > 1
    assert not any({"model", "augmentation", "batch_size"} & one.keys() for one in portfolio.CHOSEN)


@pytest.mark.parametrize("max_epochs", [3, 10, 50])
def test_each_is_a_whole_configuration_whose_epochs_follow_the_trials_length(max_epochs):
    fitting = [one for one in portfolio.CHOSEN if one["strategy"] != "staged_unfreeze" or max_epochs > 6]
    for one, chosen in zip(portfolio.first_trials(GOOGLENET, max_epochs), fitting, strict=True):
        plain = {field_of(name): value for name, value in one.items()}
        config = TrialConfig.resolve({**plain, "max_epochs": max_epochs})
        assert (config.model, config.strategy) == (GOOGLENET, chosen["strategy"])
        assert config.learning_rate == chosen["learning_rate"]
        if "step_size" in chosen:
            assert one["step_size"] == min(10, max(1, round(chosen["step_size"] * max_epochs / 10)))


def test_a_model_may_ask_for_its_strategy_under_a_name_of_its_own():
    first = portfolio.first_trials("resnet18", 10, strategy="strategy@resnet18", count=2)
    assert [one["strategy@resnet18"] for one in first] == [one["strategy"] for one in portfolio.CHOSEN[:2]]
    assert not any("strategy" in one for one in first)


def test_googlenet_full_begins_with_them_and_the_study_follows():
    space = search_spaces.load("googlenet_full")
    first = search_spaces.first_trials(space, 10, {})
    assert [one["learning_rate"] for one in first[:4]] == [one["learning_rate"] for one in portfolio.CHOSEN]
    assert {one["augmentation"] for one in first[:4]} == {"moderate"}
    assert {one["augmentation"] for one in first[4:]} == {"study"}


def test_all_models_begins_with_one_configuration_after_the_other_over_its_models():
    space = search_spaces.load("all_models")
    first = search_spaces.first_trials(space, 10, {})
    assert len({one["model"] for one in first[:5]}) == 5
    assert {one[f"strategy@{one['model']}"] for one in first[:5]} == {portfolio.CHOSEN[0]["strategy"]}
    assert len(first) == 10
