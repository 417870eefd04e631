"""What the probe solved is the run's first trial: in the table before Ray starts, with weights, in nobody's way."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import write_pictures

from search_spaces import first_trials
from trainables.data.cache import ImageCache
from trainables.inference import best_device, compute_logits, load_classifier
from trainables.metrics import Answers, measure
from tuner.console.reporter import Reporter
from tuner.release.from_run import ReleaseConfig, release_model
from tuner.runs.best_file import read_best
from tuner.runs.directory import Run, rows_of
from tuner.runs.journal import load_study
from tuner.runs.trial_table import trial_config
from tuner.tuning.config import search_config
from tuner.tuning.fold_answers import out_of_fold
from tuner.tuning.loop import _enter_first_model, open_store
from tuner.tuning.prepare import prepare


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    write_pictures(folder / "pictures", {"blue": 20, "green": 20, "red": 12})
    config = search_config(
        data=folder / "pictures",
        backbones="timm:test_resnet,resnet18",
        weights="none",
        image_size=32,
        runs_dir=folder,
        name="run",
        samples=3,
        max_epochs=4,
    )
    found = prepare(config)
    _enter_first_model(found, Reporter())
    return found


@pytest.fixture
def copied(prepared, tmp_path):
    """The same, whose trials may begin."""
    return replace(prepared, run=Run.open(shutil.copytree(prepared.run.path, tmp_path / "run")))


def test_it_is_an_ended_trial_with_the_score_that_its_weights_have(prepared):
    run = prepared.run
    row, _ = rows_of(run.trials())
    assert (row["source"], row["status"], row["strategy"]) == ("probe", "completed", "linear_probe")
    assert row["model"] == run.probe()["backbones"][0]["model"]
    config, context = trial_config(row), prepared.context
    classifier = load_classifier(config, 3, run.weights(row["trial_id"]))
    own = run.images_and_parts().part("val")
    cache = ImageCache.open(context.cache)
    logits = compute_logits(
        classifier, cache, cache.rows(own.paths), context.image_size, "fp32", best_device()
    )
    scores = measure(Answers(own.numbers, logits.double().numpy(), None))
    assert row["val_loss"] == pytest.approx(scores["val_loss"], rel=1e-3, abs=1e-4)
    assert row["val_accuracy"] == scores["val_accuracy"]
    assert row["trainable_first"] == sum(p.numel() for p in classifier.head.parameters())
    best = read_best(run.path / "best.yaml")
    assert (best.trial, best.config) == (row["trial_id"], config)


def test_every_image_but_the_test_ones_has_an_answer_by_a_head_that_has_not_seen_it(prepared):
    run = prepared.run
    row, _ = rows_of(run.trials())
    logits = out_of_fold(run, row)
    pool = run.images_and_parts().part("train", "val")
    assert logits.shape == (len(pool), 3)
    assert not np.isnan(logits).any()
    losses = -torch.from_numpy(logits).log_softmax(1)[torch.arange(len(pool)), torch.from_numpy(pool.numbers)]
    assert float(losses.mean()) == pytest.approx(run.probe()["backbones"][0]["log_loss"], rel=1e-4)


def test_it_takes_the_place_of_no_sample_and_no_first_trial_and_the_sampler_does_not_see_it(copied):
    store = open_store(copied)
    first = first_trials(copied.space, 4, copied.allowed)
    asked = [store.next() for _ in range(4)]
    assert asked[3] is None
    assert [config["trial_id"][-5:] for config in asked[:3]] == ["00002", "00003", "00004"]
    assert [config["model"] for config in asked[:3]] == [trial["model"] for trial in first[:3]]
    entered = load_study(copied.run.journal).trials[:2]
    assert [trial.params for trial in entered] == [{}, {}]
    assert [trial.value for trial in entered] == [row["value"] for row in store.standings.rows.values()]
    assert len(store._told._in_memory._trials) == 3


def test_a_run_that_is_opened_again_knows_it(copied):
    again = open_store(copied)
    assert list(again.standings.rows) == copied.run.trials()["trial_id"].tolist()
    assert again.live == {}
    assert again.standings.best()["source"] == "probe"
    assert copied.run.weights(again.standings.best()["trial_id"]).exists()
    assert again.next()["trial_id"].endswith("00002")


def test_released_it_answers_and_calls_strange_what_its_weights_would_without_a_look_at_an_image(
    prepared, tmp_path, monkeypatch
):
    run = prepared.run
    for head in (run.path / "probe").iterdir():
        head.rename(head.with_suffix(".gone"))
    looked = release_model(ReleaseConfig(run.path, out=tmp_path / "looked")).metrics
    for head in (run.path / "probe").iterdir():
        head.rename(head.with_suffix(".npz"))
    monkeypatch.setattr("tuner.release.from_run.score_weights", None)
    monkeypatch.setattr("tuner.dataset.ood.compute_means", None)
    kept = release_model(ReleaseConfig(run.path, out=tmp_path / "kept")).metrics
    assert kept["calibration"]["temperature"] == pytest.approx(looked["calibration"]["temperature"], rel=1e-3)
    assert kept["strangers"]["at_95"] == pytest.approx(looked["strangers"]["at_95"], rel=1e-2)
    assert kept["strangers"]["measure"] == looked["strangers"]["measure"]
