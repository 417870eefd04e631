import json
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from pictures import write_pictures

from trainables.data.cache import ImageCache, build_cache
from trainables.data.preprocessing import centre_crop
from trainables.inference import compute_logits, load_classifier
from tuner.cli.models import export, predict, retrain
from tuner.release.folder import verify
from tuner.runs.best_file import read_best
from tuner.runs.best_trial import is_estimate
from tuner.runs.directory import Run
from tuner.tuning.config import search_config
from tuner.tuning.loop import search

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("two_cores")]

SPACE = '''"""One configuration."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-3, 2e-3)
    return {"model": "mobilenet_v2", "strategy": "full", "schedule": "plateau", "plateau_patience": 0, "batch_size": 32}
'''

FILES = {
    *("model.onnx", "model.pt2", "model.safetensors", "labels.json", "metrics.json", "probabilities.parquet"),
    *("training.csv", "MODEL_CARD.md", "best.yaml", "best.split.parquet", "manifest.json"),
    *("predict.py", "requirements.txt"),
    *("figures/learning_curves.png", "figures/confusion_matrix.png", "figures/answered.png"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A search of two epochs on tiny pictures."""
    folder = tmp_path_factory.mktemp("search")
    write_pictures(folder / "pictures", {"blue": 60, "green": 60, "red": 60})
    (folder / "one.py").write_text(SPACE, encoding="utf-8")
    config = search_config(
        space=str(folder / "one.py"),
        data=folder / "pictures",
        samples=1,
        max_epochs=2,
        grace_period=2,
        image_size=32,
        weights="none",
        precision="fp32",
        runs_dir=folder / "runs",
        name="sample",
        dashboard=False,
    )
    return search(config).run


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "best.yaml"
    call(export, str(run.path), "--out", str(path))
    return path


@pytest.fixture(scope="module")
def model(exported):
    """The model of two seeds."""
    said = call(retrain, str(exported), "--seeds", "2", "--cpus-per-trial", "1")
    assert "seeds: 2" in said
    return exported.parent / "model", said


def call(command, *arguments):
    done = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_export_writes_a_best_yaml_with_what_is_expected_and_how_sure_that_is(run, exported):
    best = read_best(exported)
    assert best.trial == run.trials()["trial_id"][0]
    assert Path(best.data.folder).name == "pictures"
    assert is_estimate(best.expected.spread)
    assert 0 < best.expected.standard_error < 1


def test_retrain_leaves_every_file_and_scores_every_seed(run, model):
    folder, said = model
    # A single epoch has no curve.
    absent = set() if read_best(folder / "best.yaml").expected.epoch > 1 else {"figures/learning_curves.png"}
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == FILES - absent
    verify(folder)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    test = run.split().query("split == 'test'")
    assert metrics["trained_on"] == ["train", "val"]
    assert metrics["trained_images"] == len(run.split()) - len(test)
    assert (metrics["test"]["images"], metrics["test"]["groups"]) == (len(test), test["group"].nunique())
    over = metrics["test"]["over_seeds"]["accuracy"]
    singles = [one["accuracy"] for one in metrics["test"]["by_seed"]]
    assert over["n"] == 2
    assert over["mean"] == pytest.approx(np.mean(singles))
    assert over["standard_deviation"] == pytest.approx(np.std(singles, ddof=1))
    low, high = metrics["test"]["exported"]["accuracy_95"]
    assert low <= metrics["test"]["exported"]["accuracy"] <= high
    assert "the first seed's model" in said
    assert not list(folder.parent.glob(".model*"))


def test_the_tables_of_the_folder_agree_with_its_metrics(model):
    folder, _ = model
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    answers = pd.read_parquet(folder / "probabilities.parquet")
    classes = list(read_best(folder / "best.yaml").classes)
    assert (answers[classes].idxmax(axis=1) == answers["label"]).mean() == pytest.approx(
        metrics["test"]["exported"]["accuracy"]
    )
    np.testing.assert_allclose(answers[classes].sum(axis=1), 1)
    training = pd.read_csv(folder / "training.csv")
    assert list(training.columns[:8]) == [
        *("seed", "epoch", "train_loss", "val_loss", "train_acc", "val_acc", "learning_rate", "seconds")
    ]
    assert len(training) == 2 * metrics["epochs"]
    assert training["val_loss"].isna().all()
    assert training["train_loss"].notna().all()


def test_onnx_and_exported_program_answer_as_the_pytorch_model(run, model):
    folder, _ = model
    best = read_best(folder / "best.yaml")
    test = run.split().query("split == 'test'")["path"].tolist()
    hashes = run.images()
    cache = ImageCache.open(build_cache(Path(best.data.folder), test, [hashes[p] for p in test], 32))
    classifier = load_classifier(best.config, len(best.classes), folder / "model.safetensors")
    logits = compute_logits(classifier, cache, cache.rows(test), 32, "fp32", torch.device("cpu"))
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    truth = (logits / metrics["calibration"]["temperature"]).softmax(1).numpy()
    images = centre_crop([cache[row] for row in range(len(cache))], 32)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    program = torch.export.load(folder / "model.pt2").module()
    assert np.abs(session.run(None, {"images": images})[0] - truth).max() < 1e-4
    assert np.abs(program(torch.from_numpy(images))["probabilities"].detach().numpy() - truth).max() < 1e-4
    written = (
        pd.read_parquet(folder / "probabilities.parquet").set_index("path").loc[test, list(best.classes)]
    )
    assert np.abs(written.to_numpy() - truth).max() < 1e-4


def test_predict_gives_the_same_answers_from_the_image_files(model, tmp_path):
    folder, _ = model
    best = read_best(folder / "best.yaml")
    call(predict, str(folder), best.data.folder, "--out", str(tmp_path / "out.parquet"))
    found = pd.read_parquet(tmp_path / "out.parquet").set_index("path")
    truth = pd.read_parquet(folder / "probabilities.parquet")
    paths = [str(Path(best.data.folder) / path) for path in truth["path"]]
    classes = list(best.classes)
    assert np.abs(found.loc[paths, classes].to_numpy() - truth[classes].to_numpy()).max() < 1e-4
    assert found["error"].isna().all()


def test_the_sets_of_predict_hold_what_the_metrics_say(run, model, tmp_path):
    folder, _ = model
    best = read_best(folder / "best.yaml")
    call(predict, str(folder), best.data.folder, "--out", str(tmp_path / "out.parquet"), "--alpha", "0.1")
    found = pd.read_parquet(tmp_path / "out.parquet").set_index("path")
    test = run.split().query("split == 'test'")
    sets = found.loc[[str(Path(best.data.folder) / path) for path in test["path"]], "set"]
    held = [label in chosen for label, chosen in zip(test["label"], sets, strict=True)]
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert np.mean(held) == pytest.approx(metrics["sets"]["test"]["coverage"])
    assert np.mean([len(chosen) for chosen in sets]) == pytest.approx(metrics["sets"]["test"]["mean_size"])


def test_final_trains_on_every_image_and_reports_no_score(exported, run):
    said = call(
        retrain,
        *(str(exported), "--seeds", "1", "--epochs", "1", "--final", "--formats", "onnx"),
        *("--out", str(run.path / "final")),
    )
    metrics = json.loads((run.path / "final" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["trained_images"] == len(run.split())
    assert metrics["test"] is None
    assert not (run.path / "final" / "probabilities.parquet").exists()
    assert "no score" in said
    assert "accuracy" not in said


def test_average_holds_validation_out_and_says_what_became_of_it(exported, run, tmp_path):
    out = tmp_path / "average"
    options = ("--seeds", "1", "--epochs", "3", "--average", "--formats", "onnx", "--out", str(out))
    said = call(retrain, str(exported), *options)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["trained_on"] == ["train"]
    averaging = metrics["averaging"]
    assert averaging["offered"] == 3
    best = min(averaging["val_loss_of_singles"])
    assert averaging["val_loss"] < best if averaging["kept"] else averaging["val_loss"] == best
    assert "judges whether an average is better" in said
    assert pd.read_csv(out / "training.csv")["val_loss"].notna().all()


def test_the_run_knows_that_its_test_images_were_looked_at(run, model):
    assert "retrain" in (Run(run.path).path / "test_scored.yaml").read_text(encoding="utf-8")
