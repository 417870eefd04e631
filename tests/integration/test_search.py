import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from optuna.trial import TrialState
from safetensors.torch import load_file
from searches import EPOCHS, SAMPLES, check_whole, config
from tiny import write_space
from torch.nn import functional as F

import trainables
from trainables.data.cache import ImageCache, build_cache
from trainables.errors import RunProblem
from trainables.inference import compute_logits, load_classifier
from tuner.cli.app import commands
from tuner.runs.directory import Run, trial_config
from tuner.runs.heartbeat import POLL_S
from tuner.runs.journal import load_study
from tuner.tracking.status import read_status
from tuner.tuning.loop import search
from tuner.tuning.resume import resume

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

FAILING = '''"""One trial diverges, one raises, one is sound.

VGG16 has no BatchNorm to hold it at such a rate; BatchNorm can't train on one picture of 32 pixels at a time.
"""


def space(trial):
    model = trial.suggest_categorical("model", ["vgg16", "mobilenet_v2"])
    batch_size = trial.suggest_categorical("batch_size", [16, 1])
    rate = 10.0 if model == "vgg16" else 1e-3
    return {"learning_rate": rate, "strategy": "full", "weight_decay": 0.0}


first_trials = [
    {"model": "vgg16", "batch_size": 16},
    {"model": "mobilenet_v2", "batch_size": 1},
    {"model": "mobilenet_v2", "batch_size": 16},
]
'''


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
    assert len(finished.run.trials()) == SAMPLES
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
        # Of four epochs' trials the rungs stand at 1 and 2; a frozen one spends nothing, and reaches none.
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


def test_trials_that_diverge_or_raise_are_failed_rows_and_the_search_goes_on(tmp_path, pictures):
    result = search(config(tmp_path, pictures, write_space(tmp_path, FAILING), samples=3, max_epochs=1))
    assert result.exit_status == 0
    diverged, raised, sound = result.run.trials().to_dict("records")
    assert (diverged["status"], diverged["reason"], diverged["epochs"]) == ("failed", "diverged", 0)
    assert diverged["learning_rate"] == 10.0
    assert (raised["status"], raised["reason"]) == ("failed", "error")
    assert "Traceback" in raised["error"]
    assert list((result.run.path / "failures").iterdir()) != []
    assert sound["status"] == "completed"
    told = [trial.state for trial in load_study(result.run.journal).trials]
    assert told == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]


class Stopping:
    """Asks the search to stop when its first epoch is done, and gives it time to notice after each."""

    def __init__(self, run):
        self.run, self.said = run, None

    def started(self, trial):
        pass

    def epoch(self, trial, event):
        if self.said is None:
            self.said = CliRunner().invoke(commands, ["stop", str(self.run.path)]).output
        time.sleep(2 * POLL_S)

    def ended(self, trial, event):
        pass


def test_a_stop_request_in_the_run_directory_ends_it_like_a_signal(tmp_path, pictures):
    run = Run(tmp_path / "run")
    asking = Stopping(run)
    found = search(config(tmp_path, pictures, write_space(tmp_path), samples=1), observers=[asking])
    assert "tuner resume" in asking.said
    assert found.exit_status == 130
    assert read_status(run.path).state == "interrupted"
    [trial] = load_study(run.journal).trials
    assert trial.state is TrialState.RUNNING
    assert len(run.epochs()) < EPOCHS
    assert (run.alive(trial.user_attrs["trial_id"]) / "state.pt").exists()


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


def test_the_search_and_its_resume_read_no_test_image_and_trials_can_be_added(finished, tmp_path):
    """Every other test image is gone, the others are no images."""
    assert finished.exit_status == 0
    run = Run(shutil.copytree(finished.run.path, tmp_path / "more"))
    assert resume(run.path, samples=1).exit_status == 0
    check_whole(run, SAMPLES + 1)
    table = run.trials()
    assert not table.duplicated(["strategy", "learning_rate"]).any()
    pd.testing.assert_frame_equal(table.head(SAMPLES), finished.run.trials())
