"""A search: whole, with a worker that dies, resumed, and with trials added; dead drivers are in `test_killed.py`."""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from interrupting import check_whole
from optuna.trial import TrialState
from ray import cloudpickle
from safetensors.torch import load_file
from tiny import SPACE, write_space
from torch.nn import functional as F

import trainables
from trainables.data.cache import ImageCache, build_cache
from trainables.errors import RunProblem, UserMistake
from trainables.inference import compute_logits, load_classifier
from trainables.ray_trainable import TrialTrainable
from tuner.runs.directory import Run
from tuner.runs.journal import load_study
from tuner.runs.trial_table import trial_config
from tuner.tuning.config import search_config
from tuner.tuning.loop import execute, search
from tuner.tuning.prepare import prepare
from tuner.tuning.resume import resume

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

# Ray's workers can't import this module: pytest alone knows where it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SAMPLES = 5
TIMES = ["epoch_seconds", "time"]
ESTIMATES = ["estimate", "estimate_error"]
PRIOR = """

prior = {"learning_rate": {"centre": 1e-3, "width": 0.5}, "strategy": {"full": 2, "feature_extractor": 1}}
"""


class KilledOnce(TrialTrainable):
    """A trainable whose worker dies by SIGKILL in the second epoch of the first trial that trains everything."""

    def _attempt(self):
        killed = Path(self.context.run_dir) / "killed"
        trains_all = "-full-" in self.trial_name_here
        if trains_all and self._running()[0].epoch == 1 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._attempt()


def config(folder, pictures, space, **changes):
    values = {
        "space": str(space),
        "data": pictures,
        "weights": "none",
        "image_size": 32,
        "samples": SAMPLES,
        "max_epochs": 3,
        "runs_dir": folder,
        "name": "run",
        "concurrent": 1,
        "cpus_per_trial": 1.0,
        "split": "0.6,0.2,0.2",
        "precision": "fp32",
        "folds": 0,
    }
    return search_config(**(values | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, two_cores, pictures):
    """A search that ended; its test images were gone or torn before it began, and a worker was killed in its middle."""
    folder = tmp_path_factory.mktemp("finished")
    images = folder / "pictures"
    shutil.copytree(pictures, images)
    prepared = prepare(config(folder, images, write_space(folder, SPACE + PRIOR)))
    split = prepared.run.split()
    for number, path in enumerate(split.loc[split["split"] == "test", "path"]):
        (images / path).unlink() if number % 2 else (images / path).write_bytes(b"poison")
    with prepared.run.owned():
        return execute(prepared, trainable=KilledOnce)


def copied(finished, folder):
    """A copy of that run in `folder`."""
    return Run.open(shutil.copytree(finished.run.path, folder / "run"))


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
    check_whole(finished.run, SAMPLES)
    assert finished.run.trials()["source"].tolist() == ["tpe", "prior", "tpe", "prior", "tpe"]


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
        assert row["value"] == part.set_index("epoch")["val_loss"][row["best_epoch"]]
        assert row["epochs"] == len(part)


def test_every_row_says_what_was_really_applied(finished):
    for _, row in finished.run.trials().iterrows():
        frozen = row["strategy"] == "feature_extractor"
        names = {pair.split("=")[0] for pair in row["applied_learning_rates_first"].split(", ")}
        assert names == ({"head"} if frozen else {"backbone", "head"})
        assert row["applied_loss"] == "cross-entropy"
        assert row["applied_sampler"] == row["sampler"] == "shuffle"
        assert row["trainable_first"] == (3843 if frozen else 2227715)


def test_a_worker_that_is_killed_costs_its_trial_one_more_try(finished):
    assert (finished.run.path / "killed").exists()
    assert finished.run.trials()["retries"].sum() == 1


def test_trials_can_be_added_to_a_finished_search_without_a_test_image(finished, tmp_path):
    run = copied(finished, tmp_path)
    assert resume(run.path, samples=2).exit_status == 0
    check_whole(run, SAMPLES + 2)
    table = run.trials()
    assert not table.duplicated(["strategy", "learning_rate"]).any()
    # What a trial may expect is estimated beside all trials, so more of them change it; what was measured stays.
    before = finished.run.trials().drop(columns=ESTIMATES)
    pd.testing.assert_frame_equal(table.head(SAMPLES).drop(columns=ESTIMATES), before)


def test_a_resume_with_changed_images_is_refused(finished, tmp_path):
    run, record = copied(finished, tmp_path), finished.run.record
    images = shutil.copytree(record["data"]["folder"], tmp_path / "pictures")
    run.update_record(data={**record["data"], "folder": str(images)})
    split = run.split()
    (images / split.loc[split["split"] == "train", "path"].iloc[0]).unlink()
    with pytest.raises(UserMistake, match="changed or is gone"):
        resume(run.path, samples=1)


def test_a_resume_with_other_versions_is_refused(finished, tmp_path):
    run = copied(finished, tmp_path)
    run.update_record(versions={**run.record["versions"], "torch": "1.0.0"})
    with pytest.raises(UserMistake, match=r"torch was 1\.0\.0 and is"):
        resume(run.path)


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
