"""The space `auto`: a probe narrows its models before anything is searched."""

import io
import json

import pytest
import torch
from fake_run import fake_scorer, make_run, paint_only
from pictures import write_pictures
from rich.console import Console

import search_spaces
from search_spaces import auto
from search_spaces.sampling import sample_configs
from trainables import models
from trainables.errors import InvalidValue, WeightsUnavailable
from trainables.models.candidates import CANDIDATES
from tuner.console.reporter import Reporter
from tuner.dataset import loading as data_module
from tuner.evaluation.compare import compare
from tuner.planning.plan import plan
from tuner.probing import ranking
from tuner.runs.directory import Run
from tuner.tuning import backbones
from tuner.tuning import prepare as prepare_module
from tuner.tuning.config import resolve, search_config
from tuner.tuning.prepare import prepare

TWO = ("mobilenet_v2", "resnet18")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Images, and a folder with weights of two backbones; nothing can be downloaded."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "weights_available", lambda name: False)
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20})
    (tmp_path / "weights").mkdir()
    for name in TWO:
        torch.save(models.create(name, 2, seed=1).backbone.state_dict(), tmp_path / "weights" / f"{name}.pt")
    return tmp_path


def config_of(folder, **more):
    given = {
        "data": folder / "pictures",
        "weights_dir": folder / "weights",
        "image_size": 32,
        "runs_dir": folder,
        "name": "run",
        "backbones": "mobilenet_v2,resnet18,vgg16",
    }
    return search_config(**{**given, **more})


def test_the_default_space_is_auto_and_its_models_are_the_candidates():
    assert search_config().space == "auto"
    assert tuple(one.name for one in CANDIDATES) == auto.MODELS
    space = search_spaces.load("auto")
    assert space.probe
    assert not search_spaces.load("all_models").probe


def test_the_first_recipe_is_tried_with_every_model_in_the_probe_s_order_the_others_with_the_first():
    space = search_spaces.load("auto")
    chosen = ("resnet50", "timm:convnext_nano.in12k_ft_in1k")
    for models_in_order in (chosen, chosen[::-1]):
        first = search_spaces.first_trials(space, 12, {"model": models_in_order})
        assert [row["model"] for row in first] == [*models_in_order, *[models_in_order[0]] * 4]


def test_each_model_has_its_first_trials_and_its_familys_rate():
    space = search_spaces.load("auto")
    for name in ("timm:convnext_nano.in12k_ft_in1k", "resnet50"):
        first = search_spaces.first_trials(space, 12, {"model": (name,)})
        stages = models.num_stages(name)
        assert [row[f"strategy@{stages}-stages"] for row in first] == ["probe_then_full"] * 5
        [alone] = search_spaces.first_trials(space, 1, {"model": (name,)})[:1]
        assert alone[f"strategy@{stages}-stages"] == "full"
        kind = "low-rate" if "convnext" in name else "convolutional"
        assert first[0][f"backbone_learning_rate@{kind}"] == auto.RATES[kind]
    search_spaces.check(space, {"max_epochs": 12}, {"model": ("vgg16", "resnet18")}, 2)


OUTSIDERS = ("timm:test_resnet.r160_in1k", "timm:test_vit.r160_in1k")


def test_models_that_are_no_candidates_can_be_proposed_and_have_first_trials_at_their_kinds_rate():
    space = search_spaces.load("auto")
    allowed = {"model": (OUTSIDERS[1], "resnet18", OUTSIDERS[0])}
    search_spaces.check(space, {"max_epochs": 12}, allowed, 2)
    first = search_spaces.first_trials(space, 12, allowed)
    assert [row["model"] for row in first] == [*allowed["model"], *[OUTSIDERS[1]] * 4]
    drawn = {config.model for config in sample_configs(space, {"max_epochs": 12}, allowed)}
    assert drawn == set(allowed["model"])
    assert first[0]["backbone_learning_rate@low-rate"] == auto.RATES["low-rate"]
    assert first[1]["backbone_learning_rate@convolutional"] == auto.RATES["convolutional"]


def test_the_kind_that_a_name_tells_is_that_of_the_family():
    assert {name: auto.kind(name.replace("timm:", "timm:other_")) for name in auto.MODELS} == {
        name: auto.kind(name) for name in auto.MODELS
    }


def test_a_run_on_models_that_are_no_candidates_is_narrowed_to_those_that_are_advised(folder):
    chosen = (*OUTSIDERS, "resnet18")
    more = {"weights_dir": None, "weights": "none", "samples": 9}
    prepared = prepare(config_of(folder, backbones=",".join(chosen), **more))
    advised = tuple(Run.open(folder / "run").probe()["advised"])
    assert prepared.allowed["model"] == advised
    assert {
        config.model for config in sample_configs(prepared.space, prepared.overrides, prepared.allowed)
    } == {*advised}


def test_a_space_that_lists_its_models_is_probed_for_those_and_others_are_refused(folder):
    file = folder / "own.py"
    file.write_text(
        '''"""Two models, of which a probe may choose."""

probe = True


def space(trial):
    trial.suggest_categorical("model", ["resnet18", "timm:test_resnet"])
    return {"strategy": "full"}
''',
        encoding="utf-8",
    )
    own = {"space": str(file), "weights_dir": None, "weights": "none"}
    with pytest.raises(InvalidValue, match=r"^--backbones vgg16: space own has resnet18, timm:test_resnet$"):
        prepare(config_of(folder, **own, backbones="resnet18,vgg16"))
    assert set(prepare(config_of(folder, **own, backbones="auto")).allowed["model"]) == {
        *("resnet18", "timm:test_resnet"),
    }


@pytest.mark.parametrize("begin", [prepare, plan])
def test_a_model_that_can_not_take_the_size_is_refused_before_an_image_is_read(folder, monkeypatch, begin):
    monkeypatch.setattr(data_module, "scan_images", lambda *_: pytest.fail("read images"))
    more = {"weights_dir": None, "weights": "none", "backbones": "auto"}
    with pytest.raises(
        InvalidValue, match=r"^--image-size 32: model timm:mixer_s32_224: .* --image-size 224 would"
    ):
        begin(config_of(folder, models=("resnet18", "timm:mixer_s32_224"), **more))
    assert not (folder / "run").exists()


def test_a_probe_is_made_at_the_size_that_its_space_has(folder):
    file = folder / "own.py"
    text = '"""One."""\nprobe = True\ndefaults = {"image_size": 40}\n'
    text += 'def space(trial):\n    return {"model": "resnet18", "strategy": "full"}\n'
    file.write_text(text, encoding="utf-8")
    config = config_of(folder, space=str(file), image_size=None, backbones="auto")
    assert prepare(config).context.image_size == 40
    assert Run.open(folder / "run").probe()["image_size"] == 40


def test_a_run_is_narrowed_to_what_the_probe_advises_and_keeps_what_it_showed(folder):
    said = io.StringIO()
    prepared = prepare(config_of(folder, time_budget_s=1000), Reporter(Console(file=said, width=200)))
    document = Run.open(folder / "run").probe()
    assert set(document["advised"]) == set(TWO) == set(prepared.allowed["model"])
    assert [row["model"] for row in document["passed_over"]] == ["vgg16"]
    assert prepared.time_budget_s == 1000
    assert f"to fine-tune, by the expected log loss: {', '.join(document['advised'])}" in said.getvalue()
    assert prepared.context.weights == str(folder / "weights")


def test_a_run_that_can_not_be_prepared_leaves_its_name_free(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "write_images", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(config_of(folder, models=("resnet18",), backbones="auto"))
    assert not (folder / "run").exists()


def test_models_that_are_named_are_not_probed(folder, monkeypatch):
    monkeypatch.setattr(backbones, "probe_images", lambda *_: pytest.fail("probed"))
    prepared = prepare(config_of(folder, models=("resnet18",), backbones="auto"))
    assert prepared.allowed["model"] == ("resnet18",)
    assert Run.open(folder / "run").probe() is None


def test_without_any_weights_it_stops_before_an_image_is_read(folder, monkeypatch):
    monkeypatch.setattr(backbones, "scan_and_split", lambda *_: pytest.fail("read images"))
    with pytest.raises(WeightsUnavailable, match="none of the 1 backbones has pretrained weights in "):
        prepare(config_of(folder, backbones="vgg16"))
    assert not (folder / "run").exists()


def test_each_way_out_that_a_run_offers_without_weights_works(folder):
    with pytest.raises(WeightsUnavailable) as caught:
        prepare(config_of(folder, backbones="vgg16", weights_dir=None))
    for way in ("--weights none", "--models NAME --weights FILE", "--weights-dir DIR", "TORCH_HOME"):
        assert way in str(caught.value)
    file = folder / "weights" / "resnet18.pt"
    alone = {"weights_dir": None, "backbones": "auto", "weights": str(file)}
    with pytest.raises(InvalidValue, match=r"fits one model.* --models NAME"):
        prepare(config_of(folder, **alone))
    prepared = prepare(config_of(folder, **alone, models=("resnet18",)))
    assert (prepared.context.weights, prepared.allowed["model"]) == (str(file), ("resnet18",))


def test_backbones_that_nothing_would_probe_are_refused_before_an_image_is_read(folder, monkeypatch):
    monkeypatch.setattr(prepare_module, "load_data", lambda *_: pytest.fail("read images"))
    with pytest.raises(
        InvalidValue, match=r"--backbones resnet18 .* with --models resnet50 nothing is probed"
    ):
        prepare(config_of(folder, backbones="resnet18", models=("resnet50",)))
    with pytest.raises(InvalidValue, match=r"--backbones resnet18 .* space googlenet_full probes nothing"):
        plan(config_of(folder, backbones="resnet18", space="googlenet_full"))


def test_files_that_are_named_as_no_backbone_are_named_where_none_has_weights(folder):
    pattern = r"vgg16.* in \S*weights, not used.*: mobilenet_v2\.pt, resnet18\.pt; ways out"
    with pytest.raises(WeightsUnavailable, match=pattern):
        prepare(config_of(folder, backbones="vgg16"))


def test_a_file_that_only_the_probe_used_is_not_called_unused(folder, monkeypatch):
    said = io.StringIO()
    (folder / "weights" / "resnet8.pt").touch()
    monkeypatch.setattr(ranking, "chosen", lambda rows, plan: ("resnet18",))
    prepared = prepare(config_of(folder), Reporter(Console(file=said, width=200)))
    assert prepared.allowed["model"] == ("resnet18",)
    assert said.getvalue().count("not used") == 1
    assert "since no model of that name is looked for: resnet8.pt\n" in said.getvalue()


def test_the_drawn_sample_goes_on_from_random_weights(folder):
    said = io.StringIO()
    config = search_config(runs_dir=folder, name="sample")
    narrowed = backbones.narrow(config, resolve(config), Reporter(Console(file=said, width=200)))
    assert narrowed.settings.allowed["model"] == (backbones.INSTEAD,)
    assert narrowed.config.data.weights == "none"
    assert "from random weights" in said.getvalue()


def test_the_report_has_the_probe_s_table_and_picture(tmp_path, monkeypatch):
    paint_only(monkeypatch, "backbones")
    run = make_run(tmp_path / "run")
    row = {
        **{"model": "resnet18", "family": "ResNet", "licence": "bsd-3-clause", "parameters": 11_176_512},
        **{
            "megabytes": 44.7,
            "features": 512,
            "milliseconds": 8.25,
            "l2": 0.01,
            "log_loss": 0.1234,
            "low": 0.05,
        },
        **{"high": 0.2, "accuracy": 0.9, "balanced_accuracy": 0.875, "seconds": 3.0, "tied_with_best": True},
    }
    other = {**row, "model": "googlenet", "log_loss": 0.5, "low": None, "high": None, "licence": None}
    document = {
        "backbones": [row, other],
        "advised": ["resnet18"],
        "passed_over": [{"model": "vgg16", "reason": "no weights"}],
        "images": {"train": 1000, "val": 200},
        "image_size": 96,
        "precision": "fp32",
        "seconds": 7.0,
    }
    run.write_probe(document)
    assert json.loads((run.path / "probe.json").read_text(encoding="utf-8")) == document
    found = compare([run.path], scorer=fake_scorer)
    page = found.report.read_text(encoding="utf-8")
    assert "<h2>Backbones</h2>" in page
    assert all(
        text in page for text in ("0.1234", "0.050 to 0.200", "tied with the best", "googlenet", "8.2")
    )
    # What the search did with them is counted, not supposed.
    assert "<td>advised, not tried</td>" in page
    assert f"in {len(run.trials())} trials, tied with the best" in page
    assert "Skipped (no weights): vgg16." in page
    assert (found.out / "figures" / "backbones.png").stat().st_size > 1000
