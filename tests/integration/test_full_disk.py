"""A disk that is full where features are kept: training and probing go on without them, and nobody is killed."""

import contextlib
import json
import resource
import sys

import pandas as pd
import pytest
import torch
from pictures import trial_data, write_pictures
from small_disk import python, run_with_small_disk

from trainables import models
from trainables.config import TrialConfig
from trainables.frozen_features import FeatureCache, FeatureKey
from trainables.inference import compute_logits
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun
from tuner.dataset.config import DataConfig
from tuner.probing.ranking import probe

CPU = torch.device("cpu")

TRIAL = """
import sys
from types import SimpleNamespace
from trainables import feature_room
from trainables.config import RunContext
from trainables.ray_trainable import TrialTrainable

# As if another process took the room after it was looked for.
feature_room.shutil.disk_usage = lambda folder: SimpleNamespace(free=2**40)
run, images = sys.argv[1:3]
classes = ("blue", "green", "red")
context = RunContext(run, images, classes, 32, "none", "fp32", "val_loss", 0, 1, feature_cache_bytes=2**30)
trial = TrialTrainable.__new__(TrialTrainable)
trial.setup({"trial_id": "t", "batch_size": 8, "max_epochs": 2, "model": "timm:test_resnet",
             "strategy": "feature_extractor", "dropout": 0.0}, context)
results = [trial.step() for _ in range(2)]
print(*(one["val_loss"] for one in results), results[-1]["reason"])
"""


def test_a_trial_on_a_full_disk_trains_as_it_does_without_a_cache(tmp_path):
    data, run, disk = trial_data(tmp_path), tmp_path / "run", tmp_path / "disk"
    run.mkdir()
    parts = {"train": data.train_rows, "val": data.val_rows}
    rows = [(data.cache.paths[row], part) for part, chosen in parts.items() for row in chosen]
    table = pd.DataFrame(rows, columns=["path", "split"])
    table.assign(label=table["path"].str.split("/").str[0]).to_parquet(run / "split.parquet")
    command = [*python(TRIAL), str(run), str(data.cache.path)]
    done = run_with_small_disk(command, disk, "24k", TUNER_CACHE_DIR=str(disk))
    assert done.returncode == 0, done.stderr
    assert "has no room for features of frozen backbones" in done.stderr
    *losses, reason = done.stdout.split()
    config = {"model": "timm:test_resnet", "strategy": "feature_extractor", "batch_size": 8, "max_epochs": 2}
    plain = TrainingRun(TrialConfig.resolve({**config, "dropout": 0.0}), data, ComputeConfig(32))
    assert list(map(float, losses)) == pytest.approx([one.val_loss for one in plain.epochs()], rel=1e-4)
    assert reason == "completed"


def test_a_probe_on_a_full_disk_answers_as_it_does_with_room(tmp_path, monkeypatch):
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20})
    disk, model = tmp_path / "disk", "timm:test_resnet"
    command = [sys.executable, "-m", "tuner", "probe", str(tmp_path / "pictures"), "--image-size", "32"]
    command += ["--backbones", model, "--weights", "none", "--json"]
    # The images take 176 KB of it.
    done = run_with_small_disk(command, disk, "196k", TUNER_CACHE_DIR=str(disk))
    assert done.returncode == 0, done.stderr
    assert "has no room for features of frozen backbones" in done.stderr
    [found] = json.loads(done.stdout)["backbones"]
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    [expected] = probe(DataConfig(tmp_path / "pictures", image_size=32, weights="none"), model).rows
    assert found["log_loss"] == pytest.approx(expected.log_loss, rel=1e-4)


@contextlib.contextmanager
def largest_file(size):
    """Within it no file of this process may grow beyond `size` bytes, as under `ulimit -f`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 8_000])
def test_features_that_a_file_may_not_hold_are_computed_and_not_kept(tmp_path, room, monkeypatch):
    data = trial_data(tmp_path)
    classifier = models.create("timm:test_resnet", 3, dropout=0.0).eval()
    key = FeatureKey("timm:test_resnet", "none", 0, data.cache.path.name, 32, "fp32", "cpu")
    cache = FeatureCache(key, data.cache, CPU, 2**30, tmp_path / "features")
    monkeypatch.setattr(cache, "batch_size", 4)
    # Python ignores SIGXFSZ, so that a write beyond it raises.
    with largest_file(room):
        found = cache.validation(classifier, data.train_rows)
    classifier.head = torch.nn.Identity()
    own = compute_logits(classifier, data.cache, data.train_rows, 32, "fp32", CPU)
    torch.testing.assert_close(found, own)
    assert not list((tmp_path / "features").rglob("*.f32"))
