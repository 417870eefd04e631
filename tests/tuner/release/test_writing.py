"""Retraining without Ray: seeds are trained one after the other in this process, everything else is as it is."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from pictures import stretch, write_pictures
from rich.console import Console
from safetensors import safe_open
from test_retrain import long_best, make_best

from trainables.config import TrialConfig
from trainables.data.cache import ImageCache, build_cache
from trainables.data.decode import read_rgb
from trainables.data.deep import Levels
from trainables.data.preprocessing import centre_crop, square_in_words
from trainables.errors import InvalidValue, RunProblem, UserMistake
from trainables.temperature import calibrated_losses
from tuner.cli.models import export
from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.costs import decide
from tuner.release import int8
from tuner.release import retrain as retraining
from tuner.release.folder import ModelSpec, verify
from tuner.release.int8 import quantise, sentences
from tuner.release.job import RetrainConfig
from tuner.release.predict import find_images, load_model, predict
from tuner.release.rule import make_rule
from tuner.release.writing import finish
from tuner.retraining.seeds import train_seed
from tuner.runs.best_file import read_best, save_best
from tuner.runs.ensemble import Member
from tuner.statistics.calibration import mean_logits
from tuner.statistics.log_loss import log_losses
from tuner.statistics.scores import softmax

pytestmark = pytest.mark.slow

SMALL = {"batch_size": 4, "strategy": "full", "learning_rate": 2e-3}
RESNET, EFFICIENTNET = "timm:test_resnet", "timm:test_efficientnet_gn"
COSTS = "true,predicted,cost\nblue,green,1\ngreen,blue,50\n"


def in_turn(jobs, session, reporter):
    return [[train_seed(job, seed) for seed in seeds] for job, seeds in jobs]


def retrained(folder, **options):
    """A finished model folder below `folder`, from its best.yaml, with the plan, what was trained and what was said."""
    config = RetrainConfig(best=folder / "best.yaml", epochs=2, **options)
    retraining.check_config(config)
    best = read_best(config.best)
    work = folder / f"work-{len(list(folder.iterdir()))}"
    work.mkdir()
    told = io.StringIO()
    reporter = Reporter(Console(file=told, width=1000))
    plan = retraining.prepare_plan(config, best, folder / f"seeds-of-{work.name}", reporter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retraining, "train_jobs", in_turn)
        trained = retraining._train(plan, SimpleNamespace(), Reporter())
    done = finish(plan, trained, work)
    said = (*told.getvalue().splitlines(), *done.sentences)
    return SimpleNamespace(folder=work, plan=plan, trained=trained, metrics=done.metrics, said=said)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A best.yaml with an ensemble of two architectures, one of them taken twice, and a table of costs."""
    folder = tmp_path_factory.mktemp("best")
    members = (
        Member("resnet-full-00000", 2, 2, TrialConfig.resolve({"model": RESNET, **SMALL})),
        Member("efficientnet-full-00001", 1, 2, TrialConfig.resolve({"model": EFFICIENTNET, **SMALL})),
    )
    make_best(folder, config=members[0].config, ensemble=members, mean=(0.5,) * 3, std=(0.5,) * 3)
    (folder / "costs.csv").write_text(COSTS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def single(home):
    return retrained(home, seeds=1, costs=home / "costs.csv")


@pytest.fixture(scope="module")
def ensemble(home):
    return retrained(home, ensemble=True, costs=home / "costs.csv")


@pytest.fixture(scope="module")
def padded(tmp_path_factory):
    """Of a search on long pictures of 12 bits that become squares by pad."""
    folder = tmp_path_factory.mktemp("padded")
    long_best(folder, "pad")
    return retrained(folder, seeds=1, calibration=False)


def test_the_limits_of_strangeness_come_from_a_calibration_model_and_stand_in_card_and_metrics(single):
    found = single.metrics["strangers"]
    assert found["measure"] in ("nearest", "gaussian")
    assert 0 < found["at_95"] <= 1
    assert "by another model of the same seed" in found["thresholds_from"]
    assert found["validation_images"] == len(single.plan.images.paths("val"))
    assert found["false_alarms"]["test_images"] == len(single.plan.images.paths("test"))
    model = load_model(single.folder)
    assert model.spec.strange_at_95 == found["at_95"]
    values = np.array(model.with_strangeness(pictures_of(single))[1])
    assert np.isfinite(values).all()
    assert found["false_alarms"]["above_99"] == pytest.approx((values > 1).mean())
    card = (single.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## Pictures unlike the training images" in card
    assert "What it can't see" in card
    assert "- Strangeness: " in card
    assert not any("strangeness" in line for line in single.said)


def test_the_folder_of_a_model_of_deep_pictures_holds_their_scale_and_answers_by_it(padded):
    model = padded
    scale = {"int16": Levels(0.0, 4095.0)}
    loaded = load_model(model.folder)
    assert loaded.spec.scale == scale == read_best(model.folder / "best.yaml").data.scale
    card = (model.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "16-bit pictures: 0 is black, 4095 is white" in card
    images = model.plan.images
    found = predict(loaded, [images.folder / path for path in images.paths("test")])
    written = pd.read_parquet(model.folder / "probabilities.parquet")[list(loaded.spec.classes)].to_numpy()
    assert np.abs(np.array([one.probabilities for one in found]) - written).max() < 1e-4


def test_a_model_makes_squares_as_its_search_did_in_every_format_of_its_folder(padded):
    model = padded
    loaded = load_model(model.folder)
    assert (loaded.spec.fit, loaded.spec.image_size, loaded.spec.short_side) == ("pad", 32, 32)
    assert read_best(model.folder / "best.yaml").fit == "pad"
    assert all(ModelSpec.from_json(text, "") == loaded.spec for text in specs(model.folder))
    words = square_in_words(32, 32, "pad")
    assert f"Pictures become squares by {words}." in (model.folder / "MODEL_CARD.md").read_text("utf-8")


def test_eight_bits_are_found_and_compared_on_the_squares_that_the_model_sees(tmp_path):
    paths = write_pictures(tmp_path / "long", {"blue": 3})
    stretch(tmp_path / "long")
    images = SimpleNamespace(folder=tmp_path / "long", hashes=dict(zip(paths, paths, strict=True)))
    for fit, side in (("crop", 37), ("squash", 32), ("pad", 32)):
        spec = ModelSpec("resnet18", ("blue", "red"), 32, side, (0.5,) * 3, (0.5,) * 3, fit=fit)
        seen = np.stack([spec.picture(read_rgb(images.folder / path)) for path in paths])
        assert (int8._pictures(images, paths, spec) == seen).all()


def specs(folder):
    """What labels.json, the weights and both graphs say of preprocessing."""
    extra = {"labels.json": ""}
    torch.export.load(folder / "model.pt2", extra_files=extra)
    with safe_open(folder / "model.safetensors", "pt") as weights:
        inside = weights.metadata()["tuner"]
    onnx = onnxruntime.InferenceSession(str(folder / "model.onnx")).get_modelmeta().custom_metadata_map
    return (folder / "labels.json").read_text("utf-8"), extra["labels.json"], inside, onnx["tuner"]


def test_of_an_ensemble_the_first_member_tells_strangers(ensemble):
    model = load_model(ensemble.folder)
    assert np.isfinite(model.with_strangeness(pictures_of(ensemble))[1]).all()


def pictures_of(model):
    """The test images as a model sees them, in their order."""
    images = model.plan.images
    paths = images.paths("test")
    cache = ImageCache.open(build_cache(images.folder, paths, [images.hashes[p] for p in paths], 32))
    return centre_crop([cache[int(row)] for row in cache.rows(paths)], 32)


@pytest.mark.parametrize("kind", ["single", "ensemble"])
def test_pytorch_pt2_and_onnx_agree_with_temperature_ensemble_and_cost_rule_in_place(kind, request):
    model = request.getfixturevalue(kind)
    logits = [result.test_logits for result in model.trained.models[0]]
    assert len(logits) == {"single": 1, "ensemble": 2}[kind]
    mixed = logits[0] if len(logits) == 1 else mean_logits(logits, [2, 1])
    temperature = model.metrics["calibration"]["temperature"]
    truth = softmax(mixed / temperature)
    assert abs(temperature - 1) > 1e-3
    pictures = pictures_of(model)
    onnx = load_model(model.folder)
    program = torch.export.load(model.folder / "model.pt2").module()
    written = pd.read_parquet(model.folder / "probabilities.parquet")[list(onnx.spec.classes)].to_numpy()
    exported = program(torch.from_numpy(pictures))["probabilities"].detach().numpy()
    for found in (onnx(pictures), exported, written):
        assert np.abs(found - truth).max() < 1e-4
        assert (decide(found, onnx.spec.costs) == decide(truth, onnx.spec.costs)).all()
    assert (mixed.argmax(axis=1) == truth.argmax(axis=1)).all()


def test_the_temperature_comes_from_a_model_that_has_not_seen_the_validation_images(single):
    member, (calibration,) = single.plan.members[0], single.trained.calibration
    val, train = set(single.plan.images.paths("val")), set(single.plan.images.paths("train"))
    assert {path for path, _, _ in member.calibration.rows} == train
    assert member.calibration.title == "the model for calibration"
    assert {path for path, _, _ in member.job.rows} == train | val
    assert calibration.test_logits.shape == (len(val), 2)
    assert calibration.weights != single.trained.models[0][0].weights
    assert calibration.seed == single.trained.models[0][0].seed
    found, truth = calibration.test_logits, single.plan.images.part("val")
    calibration = single.metrics["calibration"]
    assert calibration["held_out"] == "by another model of the same seed, trained on the training images only"
    assert calibration["validation"]["images"] == len(val)
    loss = calibration["validation"]["loss"]
    assert loss["before"] == pytest.approx(log_losses(found, truth.numbers).mean())
    # Of the images that gave the temperature each is answered under one that the others gave.
    assert loss["after"] == pytest.approx(calibrated_losses(found, truth.numbers, truth.groups).mean())


def test_the_scores_of_the_folder_are_those_of_the_calibrated_model(single):
    test = single.metrics["test"]["exported"]
    labels = np.array(
        [("blue", "green").index(path.split("/")[0]) for path in single.plan.images.paths("test")]
    )
    logits = single.trained.models[0][0].test_logits
    assert test["loss"] == pytest.approx(
        log_losses(logits / single.metrics["calibration"]["temperature"], labels).mean()
    )
    change = single.metrics["calibration"]["test"]["loss"]
    assert change["before"] == pytest.approx(log_losses(logits, labels).mean())
    assert change["after"] == pytest.approx(test["loss"])
    assert change["before_95"][0] <= change["before"] <= change["before_95"][1]


def test_report_and_card_tell_of_temperature_sets_silence_and_costs(single):
    text, said = (single.folder / "MODEL_CARD.md").read_text(encoding="utf-8"), " ".join(single.said)
    for words in ("test log loss", "test calibration error"):
        assert words in text
        assert words not in said
    for words in (
        "(temperature ",
        "--alpha 0.1 needs 9 calibration groups of each class and the model has 4 in all: every set holds every class",
        "cost of a test",
    ):
        assert words in said
        assert words in text
    assert "| 0.9 |" in text
    assert "| green | 50 | 0 |" in text
    assert (single.folder / "figures" / "answered.png").exists()
    verify(single.folder)
    assert not (single.folder / "seeds").exists()


def test_the_file_of_the_model_alone_holds_all_that_sets_and_costs_need(single, tmp_path):
    alone = tmp_path / "alone.onnx"
    alone.write_bytes((single.folder / "model.onnx").read_bytes())
    spec = load_model(alone).spec
    assert [len(own) for own in spec.scores] == [2, 2]
    assert spec.costs == ((0, 1), (50, 0))
    assert spec.temperature == single.metrics["calibration"]["temperature"]
    assert ModelSpec.from_json((single.folder / "labels.json").read_text(encoding="utf-8"), "labels") == spec


def test_an_ensemble_s_folder_says_what_it_is_made_of_and_can_be_trained_again(ensemble):
    metrics = json.loads((ensemble.folder / "metrics.json").read_text(encoding="utf-8"))
    assert [(one["trial"], one["count"]) for one in metrics["ensemble"]] == [
        ("resnet-full-00000", 2),
        ("efficientnet-full-00001", 1),
    ]
    assert "resnet-full-00000 (2 times), efficientnet-full-00001" in metrics["exported"]
    again = read_best(ensemble.folder / "best.yaml")
    assert [member.trial for member in again.ensemble] == [one["trial"] for one in metrics["ensemble"]]
    assert load_model(ensemble.folder).spec.members == 2
    card = (ensemble.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.startswith("# An ensemble of 2 models for 2 classes")
    assert f"{RESNET} (strategy full), {EFFICIENTNET} (strategy full) from random weights" in card
    training = pd.read_csv(ensemble.folder / "training.csv")
    assert training.groupby("trial").size().tolist() == [2, 2]
    assert len(ensemble.trained.calibration) == 2


def test_without_calibration_probabilities_are_those_of_the_logits_and_no_calibration_model_is_trained(
    padded,
):
    plain = padded
    assert plain.trained.calibration is None
    assert (plain.metrics["calibration"], plain.metrics["sets"]) == (None, None)
    spec = load_model(plain.folder).spec
    assert (spec.temperature, spec.scores, spec.costs) == (1.0, (), ())
    answers = pd.read_parquet(plain.folder / "probabilities.parquet")[["blue", "green"]].to_numpy()
    np.testing.assert_allclose(answers, softmax(plain.trained.models[0][0].test_logits), atol=1e-12)
    assert "Not calibrated" in (plain.folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_an_average_holds_validation_out_is_calibrated_by_it_and_says_what_became_of_it(home):
    average = retrained(home, seeds=1, average=True, formats=("onnx",))
    assert average.trained.calibration is None
    assert average.metrics["calibration"]["held_out"] == "by this model, which was not trained on them"
    assert average.metrics["sets"]["test"]["coverage"] <= 1
    assert average.metrics["trained_on"] == ["train"]
    averaging = average.metrics["averaging"]
    assert averaging["offered"] == len(averaging["val_loss_of_singles"]) > 1
    best = min(averaging["val_loss_of_singles"])
    assert averaging["val_loss"] < best if averaging["kept"] else averaging["val_loss"] == best
    assert "judges whether an average is better" in " ".join(average.said)
    assert pd.read_csv(average.folder / "training.csv")["val_loss"].notna().all()


def test_a_final_model_trains_on_every_image_and_reports_no_score(home):
    final = retrained(home, seeds=1, final=True, formats=("onnx",))
    assert final.metrics["calibration"]["test"] is None
    assert final.metrics["sets"]["test"] is None
    assert {path for path, _, _ in final.plan.members[0].calibration.rows} == set(
        final.plan.images.paths("train")
    )
    assert final.metrics["trained_images"] == len(final.plan.images.split)
    assert final.metrics["test"] is None
    assert not (final.folder / "probabilities.parquet").exists()
    assert not (final.folder / "figures" / "answered.png").exists()
    said = " ".join(final.said)
    assert "the probabilities are calibrated (temperature" in said
    assert "validation log loss" in (final.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "no score" in said
    assert "accuracy" not in said


def test_a_calibration_model_that_diverges_costs_the_calibration_only(home, monkeypatch):
    config = RetrainConfig(best=home / "best.yaml", epochs=1, seeds=1)
    (home / "lost").mkdir()
    plan = retraining.prepare_plan(config, read_best(config.best), home / "lost", Reporter())
    warned = []
    one = SimpleNamespace(error=None, seed=1), SimpleNamespace(error="train_loss nan", seed=1)
    monkeypatch.setattr(retraining, "train_jobs", lambda *given: [[one[0]], [one[1]]])
    trained = retraining._train(plan, SimpleNamespace(), SimpleNamespace(warn=warned.append))
    assert trained.models == ((one[0],),)
    assert trained.calibration is None
    assert "diverged (train_loss nan)" in warned[0]


def test_a_model_with_a_diverged_member_is_left_out():
    good, bad = SimpleNamespace(error=None, seed=1), SimpleNamespace(error="train_loss nan", seed=2)
    alive = retraining._alive([(good, good), (good, bad)], Reporter())
    assert alive == ((good, good),)
    with pytest.raises(RunProblem, match=r"every seed diverged \(train_loss nan\)"):
        retraining._alive([(good, bad)], Reporter())


def test_an_ensemble_that_nobody_found_and_costs_of_other_classes_are_refused(tmp_path):
    best = make_best(tmp_path)
    config = RetrainConfig(best=tmp_path / "best.yaml", ensemble=True)
    with pytest.raises(RunProblem, match="records no ensemble; leave --ensemble out"):
        retraining.prepare_plan(config, best, tmp_path, Reporter())
    (tmp_path / "costs.csv").write_text("true,predicted,cost\nblue,green,1\n", encoding="utf-8")
    config = replace(config, ensemble=False, costs=tmp_path / "costs.csv")
    with pytest.raises(InvalidValue, match="lacks the cost of naming 'blue' where it is 'green'"):
        retraining.prepare_plan(config, best, tmp_path, Reporter())


def test_the_members_of_an_ensemble_are_read_as_they_were_written_and_mistakes_are_named(home, tmp_path):
    best = read_best(home / "best.yaml")
    assert [member.count for member in best.ensemble] == [2, 1]
    save_best(best, tmp_path / "best.yaml")
    assert read_best(tmp_path / "best.yaml") == best
    for old, new, said in (
        ("count: 2", "count: 0", r"ensemble\[0\]\.count=0 is wrong; it must be a whole number from 1 up"),
        (f"model: {EFFICIENTNET}", "model: mobilnet", r"ensemble\[1\]\.config: .*mobilnet"),
        ("trial: efficientnet-full-00001", "trial: resnet-full-00000", "names trial .* twice; add up"),
    ):
        text = (tmp_path / "best.yaml").read_text(encoding="utf-8")
        (tmp_path / "other.yaml").write_text(text.replace(f"{old}\n", f"{new}\n"), encoding="utf-8")
        with pytest.raises(UserMistake, match=said):
            read_best(tmp_path / "other.yaml")


def test_the_class_of_least_expected_cost_is_named_where_a_mistake_is_dear(single):
    model, rule = load_model(single.folder), make_rule(load_model(single.folder).spec)
    answers = predict(model, find_images([str(single.plan.images.folder)]))
    assert all(one.named == int(decide([one.probabilities], model.spec.costs)[0]) for one in answers)
    dear, cheap = (one.row(model.spec.classes) for one in rule.answers("ab", [[0.9, 0.1], [0.99, 0.01]]))
    assert (dear["class"], dear["probability"]) == ("green", 0.1)
    assert (cheap["class"], cheap["probability"]) == ("blue", 0.99)


def test_the_onnx_names_its_outputs(single):
    session = onnxruntime.InferenceSession(str(single.folder / "model.onnx"))
    assert [output.name for output in session.get_outputs()] == ["probabilities", "strangeness"]


def test_eight_bits_are_compared_image_by_image_and_answer_almost_alike(single):
    done = quantise(single.folder)
    assert [(one.part, one.trained_on) for one in done.differences] == [("val", True), ("test", False)]
    images = {one.part: one.images for one in done.differences}
    assert images == {part: len(single.plan.images.paths(part)) for part in ("val", "test")}
    for one in done.differences:
        assert one.difference == pytest.approx(one.accuracy_int8 - one.accuracy)
        assert one.difference_95.low <= one.difference <= one.difference_95.high
        assert 0 < one.largest_difference < 0.2
    assert done.after.megabytes < 0.35 * done.before.megabytes
    assert done.after.parameters == done.before.parameters == single.metrics["running_cost"]["parameters"]
    verify(single.folder)
    model, eight = load_model(single.folder), load_model(single.folder / "model.int8.onnx")
    # Rounded features are not those that the limits of strangeness were found for.
    assert eight.spec == replace(model.spec, strange_at_95=None)
    pictures = pictures_of(single)
    gap = np.abs(eight(pictures) - model(pictures)).max()
    assert gap == pytest.approx(done.differences[1].largest_difference, abs=1e-6)
    told = json.loads((single.folder / "int8.json").read_text(encoding="utf-8"))
    assert told["differences"][1]["difference"] == done.differences[1].difference
    said = " ".join(sentences(done))
    assert "(the model was trained on them, which hides a part of the loss)" in said
    assert f"{done.after.megabytes:.1f} MB instead of {done.before.megabytes:.1f}" in said
    first = done.path.read_bytes()
    assert quantise(single.folder).path.read_bytes() == first
    done.path.unlink()
    verify(single.folder)
    assert quantise(single.folder).path.read_bytes() == first
    done.path.write_bytes(first[:-1])
    with pytest.raises(RunProblem, match=r"model\.int8\.onnx has been altered"):
        quantise(single.folder)


def test_eight_bits_need_the_images_of_the_model(ensemble, tmp_path):
    write_pictures(tmp_path / "others", {"blue": 8, "green": 8}, seed=5)
    with pytest.raises(RunProblem, match=r"does not hold the images that .* was made from"):
        quantise(ensemble.folder, data=tmp_path / "others")


def test_on_the_command_line_an_export_in_eight_bits_takes_a_model_folder(ensemble):
    done = CliRunner().invoke(export, [str(ensemble.folder), "--int8"])
    assert done.exit_code == 0, done.output
    assert "model.int8.onnx: " in done.output
    assert "p = " in done.output
    for wrong, said in (
        (["--int8", "--out", "x"], "--int8 writes into"),
        (["--data", "x"], "belongs to --int8"),
    ):
        refused = CliRunner().invoke(export, [str(ensemble.folder), *wrong])
        assert refused.exit_code == 2
        assert said in " ".join(refused.output.split())
