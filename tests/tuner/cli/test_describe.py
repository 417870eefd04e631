from pathlib import Path

import optuna
import pytest
from rich.console import Console, RenderableType

import search_spaces
from trainables import augmentations, models, strategies
from trainables.errors import UnknownName
from tuner.cli import describe


def text_of(renderable: RenderableType, width: int = 160) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def row_of(text: str, first: str) -> str:
    return next(line for line in text.splitlines() if line.split()[:1] == [first])


def test_every_space_has_one_line_that_fits_a_terminal():
    lines = text_of(describe.spaces(), width=80).splitlines()
    for name, line in zip(search_spaces.names(), lines, strict=False):
        assert line.rstrip() == line.rstrip().rstrip("…")
        assert line.split()[0] == name
        assert line.rstrip().endswith(search_spaces.load(name).summary)


def test_the_list_of_spaces_says_how_many_samples_each_has():
    words = " ".join(text_of(describe.spaces(), width=80).split())
    for name in search_spaces.names():
        assert f"{name} {search_spaces.load(name).defaults['samples']}" in words


@pytest.mark.parametrize("name", search_spaces.names())
def test_every_space_shows_each_parameter_and_first_trial(name: str):
    text = text_of(describe.space(name))
    space = search_spaces.load(name)
    for one in describe.draw(space, 10):
        for parameter in one.distributions:
            assert row_of(text, parameter)
    count = len(search_spaces.first_trials(space, 10, {}))
    assert row_of(text, str(count))
    assert str(count + 1) not in {line.split()[0] for line in text.splitlines() if line.split()}


def test_the_augmentations_are_listed_with_a_line_each_and_the_default():
    text = text_of(describe.spaces())
    for name in augmentations.names():
        assert augmentations.summary(name) in row_of(text, name)
    assert row_of(text, augmentations.DEFAULT).rstrip().endswith("(default)")


def test_ranges_and_conditions_of_googlenet_full_are_shown():
    text = text_of(describe.space("googlenet_full"))
    assert row_of(text, "plateau_factor").split(maxsplit=1)[1].rstrip().endswith("schedule plateau")
    assert "log" in row_of(text, "learning_rate")
    assert "log" not in row_of(text, "dropout")
    assert row_of(text, "auxiliary_weight").rstrip().endswith("strategy full_aux")
    assert row_of(text, "backbone_learning_rate").rstrip().endswith("strategy other than feature_extractor")
    assert row_of(text, "sampler").rstrip().endswith("weights 3, 1")
    assert "optimizer adam" in row_of(text, "fixed:")


def test_what_a_space_expects_is_shown_beside_the_range():
    text = text_of(describe.space("googlenet_full"))
    assert "0.001, width 0.5" in row_of(text, "learning_rate")
    assert "weights 1, 1, 2" in row_of(text, "schedule")
    assert "width" not in row_of(text, "augmentation")
    assert "shuffle, weighted" in row_of(text, "sampler")
    assert "prior" not in text_of(describe.space("googlenet_grid"))


def test_two_choices_that_decide_together_are_both_named(tmp_path: Path):
    path = tmp_path / "mine.py"
    path.write_text(
        "def space(trial):\n"
        "    model = trial.suggest_categorical('model', ['resnet18', 'vgg16'])\n"
        "    schedule = trial.suggest_categorical('schedule', ['step', 'cosine'])\n"
        "    if model == 'vgg16' and schedule == 'step':\n"
        "        trial.suggest_int('step_size', 1, 3)\n"
        "    if trial.suggest_float('dropout', 0.0, 0.5) > 0.25:\n"
        "        trial.suggest_float('weight_decay', 0.0, 0.1)\n"
        "    return {'strategy': 'full'}\n"
    )
    draws = describe.draw(search_spaces.load(str(path)), 10)
    assert sorted(describe.condition("step_size", draws).split(", ")) == ["model vgg16", "schedule step"]
    assert describe.condition("model", draws) == ""
    assert "sometimes" in describe.condition("weight_decay", draws)


def test_a_step_of_a_range_is_shown():
    assert describe.range_of(optuna.distributions.IntDistribution(8, 64, step=8)) == "8 to 64, step 8"
    assert describe.range_of(optuna.distributions.FloatDistribution(0.1, 1, log=True)) == "0.1 to 1, log"


def test_every_model_is_listed():
    text = text_of(describe.models())
    for name in models.names():
        assert row_of(text, name)
    # 11,689,512 of torchvision's table without the 513,000 of its classifier.
    assert "11,176,512" in row_of(text, "resnet18")
    assert "timm:NAME" in text


@pytest.mark.parametrize("name", models.names())
def test_a_model_shows_its_stages_and_every_strategy_it_can_follow(name: str):
    text = text_of(describe.model(name))
    for stage in models.create(name, 3).stages if name == "resnet18" else ():
        assert row_of(text, stage.name)
    for strategy in strategies.names():
        able = models.has_auxiliary(name) or not strategies.wants_auxiliary(strategy)
        assert (f"\n{strategy} " in text) == able


def test_a_models_shapes_and_what_trains_first_and_last_are_shown():
    text = text_of(describe.model("resnet18"))
    assert row_of(text, "layer4").split()[1:] == ["512", "x", "7", "x", "7", "8,393,728"]
    assert row_of(text, "head").split()[1:] == ["3", "1,539"]
    assert row_of(text, "feature_extractor").split()[1:] == ["1,539", "1,539", "1"]
    assert row_of(text, "gradual_unfreeze").split()[1:4] == ["1,539", "11,178,051", "4"]


def test_a_timm_model_of_a_fixed_size_is_shown_at_that_size():
    assert "images of 256 px" in text_of(describe.model("timm:swinv2_tiny_window8_256"))


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName):
        describe.space("nothing")
    with pytest.raises(UnknownName):
        describe.model("nothing")
