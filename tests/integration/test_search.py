import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from optuna.trial import TrialState
from safetensors.torch import load_file
from tiny import write_space
from torch.nn import functional as F

import trainables
from trainables.data.cache import ImageCache, build_cache
from trainables.errors import RunProblem
from trainables.inference import compute_logits, load_classifier
from tuner.runs.journal import load_study
from tuner.runs.trial_table import trial_config
from tuner.tuning.config import search_config
from tuner.tuning.loop import execute, search
from tuner.tuning.prepare import prepare
from tuner.tuning.resume import resume

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

DIVERGING = '''"""A third of the trials diverges: VGG16 has no BatchNorm to hold it at such a rate."""


def space(trial):
    model = trial.suggest_categorical("model", ["vgg16", "mobilenet_v2"])
    trial.suggest_float("dropout", 0.0, 0.5)
    rate = 10.0 if model == "vgg16" else 1e-3
    return {"learning_rate": rate, "strategy": "full", "batch_size": 16}


first_trials = [{"model": "vgg16" if number % 3 == 0 else "mobilenet_v2"} for number in range(6)]
'''

RAISING = '''"""BatchNorm can't train on one picture of 32 pixels at a time."""


def space(trial):
    trial.suggest_categorical("batch_size", [8, 1])
    return {"model": "resnet18", "strategy": "full", "weight_decay": 0.0}


first_trials = [{"batch_size": 8}, {"batch_size": 1}]
'''


def config(folder, pictures, space, **changes):
    values = {
        "space": str(space),
        "data": pictures,
        "weights": "none",
        "image_size": 32,
        "samples": 4,
        "max_epochs": 3,
        "runs_dir": folder,
        "name": "run",
        "concurrent": 1,
        "split": "0.6,0.2,0.2",
        "precision": "fp32",
    }
    return search_config(**(values | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, two_cores, pictures):
    folder = tmp_path_factory.mktemp("finished")
    return search(config(folder, pictures, write_space(folder)))


def test_a_search_ends_with_a_best_trial_and_a_complete_directory(finished):
    assert finished.exit_status == 0
    names = {path.name for path in finished.run.path.iterdir()}
    assert names >= {
        "run.yaml",
        "split.parquet",
        "study.journal",
        "epochs",
        "trials.parquet",
        "weights",
        "best.yaml",
    }
    assert len(finished.run.trials()) == 4
    assert list((finished.run.path / "alive").iterdir()) == []


def test_val_loss_is_finite_and_equals_a_recomputation_from_the_kept_weights(finished):
    run, best = finished.run, finished.best
    assert np.isfinite(run.epochs()["val_loss"]).all()
    record, images, split = run.record, run.images(), run.split()
    classes = list(record["data"]["classes"])
    val = split[split["split"] == "val"]
    paths = val["path"].tolist()
    folder = Path(record["data"]["folder"])
    cache = ImageCache.open(build_cache(folder, paths, [images[path] for path in paths], 32))
    classifier = load_classifier(trial_config(best), len(classes), run.weights(best["trial_id"]))
    logits = compute_logits(classifier, cache, cache.rows(paths), 32, "fp32", torch.device("cpu"))
    labels = torch.tensor([classes.index(label) for label in val["label"]])
    assert best["value"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)


def test_the_journal_agrees_with_the_table_and_the_epochs(finished):
    states = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
    table, epochs = finished.run.trials(), finished.run.epochs()
    study = load_study(finished.run.journal)
    for told, (_, row) in zip(study.trials, table.iterrows(), strict=True):
        part = epochs[epochs["trial_id"] == row["trial_id"]]
        assert told.state is states[row["status"]]
        # At rungs of 1 and 2 full epochs; a frozen trial of these spends nothing, and reaches none.
        best = dict(zip(part["epoch"], part["val_loss"].cummin(), strict=True))
        frozen = row["strategy"] == "feature_extractor"
        assert told.intermediate_values == {e: best[e] for e in (1, 2) if e in best and not frozen}
        assert row["value"] == part["val_loss"].min()
        assert row["epochs"] == len(part)


def test_every_row_says_what_was_really_applied(finished):
    for _, row in finished.run.trials().iterrows():
        frozen = row["strategy"] == "feature_extractor"
        names = {pair.split("=")[0] for pair in row["applied_learning_rates_first"].split(", ")}
        assert names == ({"head"} if frozen else {"backbone", "head"})
        assert row["applied_loss"] == "cross-entropy"
        assert row["applied_sampler"] == row["sampler"] == "shuffle"
        assert row["trainable_first"] == (3843 if frozen else 2227715)


def test_the_same_seed_gives_the_same_tables(finished, tmp_path, pictures):
    again = search(config(tmp_path, pictures, write_space(tmp_path)))
    pd.testing.assert_frame_equal(
        again.run.trials().drop(columns="seconds"), finished.run.trials().drop(columns="seconds")
    )
    times = ["epoch_seconds", "time"]
    pd.testing.assert_frame_equal(
        again.run.epochs().drop(columns=times), finished.run.epochs().drop(columns=times)
    )


def test_diverged_trials_are_failed_rows_within_one_epoch_and_the_search_goes_on(tmp_path, pictures):
    space = write_space(tmp_path, DIVERGING)
    result = search(config(tmp_path, pictures, space, samples=6, max_epochs=2))
    table = result.run.trials()
    assert len(table) == 6
    assert result.exit_status == 0
    diverged = table[table["reason"] == "diverged"]
    assert len(diverged) == 2
    told = {trial.user_attrs["trial_id"]: trial.state for trial in load_study(result.run.journal).trials}
    for _, row in diverged.iterrows():
        assert row["learning_rate"] == 10.0
        assert (row["status"], row["epochs"]) == ("failed", 0)
        assert told[row["trial_id"]] is TrialState.FAIL


def test_a_trial_that_raises_is_a_failed_row_with_its_traceback_and_the_others_go_on(tmp_path, pictures):
    space = write_space(tmp_path, RAISING)
    result = search(config(tmp_path, pictures, space, samples=2, max_epochs=1))
    table = result.run.trials().set_index("batch_size")
    assert table.loc[8, "status"] == "completed"
    assert (table.loc[1, "status"], table.loc[1, "reason"]) == ("failed", "error")
    assert "Traceback" in table.loc[1, "error"]
    assert list((result.run.path / "failures").iterdir()) != []


def test_kept_weights_fit_the_model_of_their_trial(finished):
    files = list((finished.run.path / "weights").iterdir())
    assert len(files) >= 2
    rows = finished.run.trials().set_index("trial_id", drop=False)
    for file in files:
        classifier = load_classifier(trial_config(rows.loc[file.stem].to_dict()), 3, file)
        assert load_file(file).keys() == classifier.state_dict().keys()


def test_a_taken_name_is_refused(finished, pictures, tmp_path):
    with pytest.raises(RunProblem, match="exists already"):
        search(config(finished.run.path.parent, pictures, write_space(tmp_path)))


def test_a_combination_is_a_ray_trainable_of_its_own_name():
    assert trainables.get("googlenet", "gradual_unfreeze").__name__ == "googlenet-gradual_unfreeze"


def test_the_search_and_its_resume_read_no_test_image(tmp_path, pictures):
    images = tmp_path / "pictures"
    shutil.copytree(pictures, images)
    prepared = prepare(config(tmp_path, images, write_space(tmp_path), samples=1, max_epochs=1))
    split = prepared.run.split()
    test = split.loc[split["split"] == "test", "path"]
    for number, path in enumerate(test):
        (images / path).unlink() if number % 2 else (images / path).write_bytes(b"poison")
    with prepared.run.owned():
        assert execute(prepared).exit_status == 0
    assert resume(prepared.run.path, samples=1).exit_status == 0
    assert len(prepared.run.trials()) == 2
