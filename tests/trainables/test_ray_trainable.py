"""The trainable without Ray: what it does when memory runs out and when the device is lost."""

import errno
import gc
import weakref

import pandas as pd
import pytest
import torch
from pictures import trial_data

import trainables.ray_trainable as module
from trainables.checkpoint import read_batch_parts
from trainables.config import RunContext
from trainables.errors import DISK_FULL, DataProblem, WorkerBroken
from trainables.image_losses import LOSSES
from trainables.ray_trainable import TrialTrainable
from trainables.storage import Bucket
from trainables.training import TrainingRun

# What torch raises; `failing` raises a fresh one each time.
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Makes a trainable with a trial of three classes, its batches of 8."""
    data = trial_data(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    parts = {"train": data.train_rows, "val": data.val_rows}
    rows = [(data.cache.paths[row], part) for part, chosen in parts.items() for row in chosen]
    table = pd.DataFrame(rows, columns=["path", "split"])
    table.assign(label=table["path"].str.split("/").str[0]).to_parquet(run / "split.parquet")

    def make(storage="", feature_cache_bytes=0, **parameters):
        context = RunContext(
            str(run),
            str(data.cache.path),
            data.classes,
            32,
            "none",
            "fp32",
            "val_loss",
            0,
            1,
            storage=storage,
            feature_cache_bytes=feature_cache_bytes,
        )
        trainable = TrialTrainable.__new__(TrialTrainable)
        config = {
            "trial_id": "t",
            "model": "timm:test_resnet",
            "strategy": "full",
            "batch_size": 8,
            "max_epochs": 3,
        }
        trainable.setup({**config, **parameters}, context)
        return trainable

    return make


def failing(method, error, times, when=lambda *given: True):
    """`method`, which raises `error` the first `times` times that `when` holds; how often it has."""
    raised = []

    def instead(*given, **named):
        if len(raised) < times and when(*given, **named):
            raised.append(len(given))
            raise type(error)(*error.args)
        return method(*given, **named)

    return instead, raised


def test_garbage_is_not_looked_for_among_what_a_worker_imported(worker):
    gc.unfreeze()
    trial = worker()
    frozen = gc.get_freeze_count()
    assert frozen > 10_000
    assert trial.reset_config({"trial_id": "u", "model": "timm:test_resnet", "strategy": "full"})
    assert gc.get_freeze_count() == frozen


def test_the_old_model_is_gone_before_the_new_one_is_built(worker, monkeypatch):
    trainable, alive = worker(), []
    trainable.step()
    first = trainable._run
    old = [weakref.ref(first), weakref.ref(first.classifier), weakref.ref(first.optimizer)]
    old.append(weakref.ref(next(first.classifier.parameters())))
    del first
    build = module.TrialTrainable._fresh_run

    def fresh(self):
        alive.extend(one() for one in old)
        return build(self)

    monkeypatch.setattr(module.TrialTrainable, "_fresh_run", fresh)
    instead, raised = failing(TrainingRun._update, OUT_OF_MEMORY, 1)
    monkeypatch.setattr(TrainingRun, "_update", instead)
    result = trainable.step()
    assert len(raised) == 1
    assert result["epoch"] == 2
    assert alive == [None] * 4
    assert result["applied"]["batch"] == "8 as 2 x 4"


def test_batches_are_halved_until_an_epoch_fits_and_it_equals_one_that_always_did(worker, monkeypatch):
    plain = worker(strategy="feature_extractor").step()
    too_large = lambda run, inputs, labels, kept: len(labels) / run.accumulation > 2  # noqa: E731
    instead, raised = failing(TrainingRun._update, OUT_OF_MEMORY, 99, too_large)
    monkeypatch.setattr(TrainingRun, "_update", instead)
    trainable = worker(trial_id="other", strategy="feature_extractor")
    result = trainable.step()
    assert len(raised) == 2
    assert read_batch_parts(trainable._writer.folder) == 4
    assert result["applied"]["batch"] == "8 as 4 x 2"
    assert result["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-5)


def test_an_image_that_does_not_fit_alone_fails_the_trial(worker, monkeypatch):
    instead, raised = failing(TrainingRun._update, OUT_OF_MEMORY, 99)
    monkeypatch.setattr(TrainingRun, "_update", instead)
    result = worker().step()
    assert len(raised) == 4
    assert (result["done"], result["reason"]) == (True, "error")
    assert "out of memory" in result["error"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_images_that_a_full_disk_can_not_hold_halt_the_search_and_fail_no_trial(worker, monkeypatch, number):
    def full(*given):
        raise DataProblem("the image cache can't be written") from OSError(number, "No space left")

    monkeypatch.setattr(module, "trial_data", full)
    result = worker().step()
    assert (result["done"], result["reason"]) == (True, DISK_FULL)


def test_a_retreat_is_kept_where_files_live_in_a_bucket(worker, tmp_path, monkeypatch):
    address = f"file://{tmp_path}/bucket/run"
    run = Bucket(tmp_path / "run", address)
    (tmp_path / "run" / "images.parquet").write_bytes(b"")
    run.share()
    trainable = worker(storage=address)
    instead, raised = failing(TrainingRun._update, OUT_OF_MEMORY, 2)
    monkeypatch.setattr(TrainingRun, "_update", instead)
    assert trainable.step()["applied"]["batch"] == "8 as 4 x 2"
    assert len(raised) == 2
    assert (tmp_path / "bucket/run/alive/t/split").read_text() == "4"
    trainable.cleanup()


def test_validation_is_halved_where_memory_runs_out_and_the_training_is_not_done_again(worker, monkeypatch):
    plain = worker().step()
    sizes, outputs = [], TrainingRun._outputs

    def small(self, inputs):
        if not self.classifier.training:
            sizes.append(len(inputs))
            if len(inputs) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return outputs(self, inputs)

    monkeypatch.setattr(TrainingRun, "_outputs", small)
    trainable = worker(trial_id="other")
    result = trainable.step()
    assert result["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-5)
    assert result["train_loss"] == plain["train_loss"]
    assert result["applied"]["batch"] == "8 as 1 x 8"
    assert trainable._run.eval_batch == 2
    assert max(sizes[-4:]) == 2


def test_features_are_computed_in_parts_where_memory_runs_out(worker, monkeypatch):
    plain = worker(strategy="feature_extractor").step()
    from trainables.models.classifier import Classifier

    sizes, features = [], Classifier.features

    def small(self, images, aux_inputs=False):
        sizes.append(len(images))
        if len(images) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return features(self, images, aux_inputs)

    monkeypatch.setattr(Classifier, "features", small)
    trainable = worker(trial_id="other", strategy="feature_extractor", feature_cache_bytes=2**30)
    result = trainable.step()
    assert result["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-4)
    assert result["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-4)
    assert result["applied"]["batch"] == "8 as 1 x 8"
    assert trainable._run.loader.feature_cache.batch_size == 4
    # Folding looks at one image of each first batch.
    assert set(sizes) == {24, 16, 8, 4, 1}


def test_a_whole_epoch_of_features_is_never_on_the_device(worker, monkeypatch):
    to, moved = torch.Tensor.to, []

    def note(self, *given, **named):
        if self.dtype == torch.float32 and self.ndim == 2 and self.shape[1] == 96:
            moved.append(len(self))
        return to(self, *given, **named)

    trainable = worker(strategy="feature_extractor", feature_cache_bytes=2**30)
    trainable.step()
    monkeypatch.setattr(torch.Tensor, "to", note)
    trainable.step()
    assert max(moved) == 8


def test_parts_that_the_driver_asked_for_make_every_batch_smaller(worker, tmp_path):
    folder = tmp_path / "run" / "alive" / "t"
    folder.mkdir(parents=True)
    (folder / "split").write_text("16")
    trainable = worker(strategy="feature_extractor", feature_cache_bytes=2**30)
    assert trainable.step()["applied"]["batch"] == "8 as 8 x 1"
    assert (trainable._run.eval_batch, trainable._run.loader.feature_cache.batch_size) == (8, 8)


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: device-side assert triggered",
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: unspecified launch failure",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    ],
)
def test_a_worker_that_can_compute_no_more_dies_of_it(worker, monkeypatch, words):
    instead, _ = failing(TrainingRun._update, RuntimeError(words), 1)
    monkeypatch.setattr(TrainingRun, "_update", instead)
    with pytest.raises(WorkerBroken, match=words):
        worker().step()


def test_an_ordinary_error_is_the_trials_result(worker, monkeypatch):
    instead, _ = failing(TrainingRun._update, RuntimeError("shapes cannot be multiplied"), 1)
    monkeypatch.setattr(TrainingRun, "_update", instead)
    result = worker().step()
    assert (result["done"], result["reason"]) == (True, "error")
    assert "shapes cannot be multiplied" in result["error"]


def test_an_error_of_the_writer_does_not_reach_the_next_trial(worker):
    trainable = worker()
    trainable.step()
    trainable._writer.wait()
    trainable._writer._error = ValueError("an odd key")
    trainable.context = RunContext(**{**vars(trainable.context), "storage": "file:///no/such/place"})
    trainable.reset_config(
        {"trial_id": "next", "model": "timm:test_resnet", "strategy": "full", "max_epochs": 1}
    )
    assert trainable._writer is None


def test_a_worker_on_a_gpu_hands_back_what_the_trial_before_held_and_one_on_a_processor_wastes_no_time(
    worker, monkeypatch
):
    freed, held = [], []
    monkeypatch.setattr(module, "release_memory", lambda: freed.append([one() for one in held]))
    trainable = worker()
    trainable.step()
    following = {"model": "timm:test_resnet", "strategy": "full", "max_epochs": 1}
    trainable.reset_config({"trial_id": "next", **following})
    assert freed == []
    trainable.step()
    held.append(weakref.ref(trainable._run))
    monkeypatch.setattr(module, "best_device", lambda: torch.device("cuda"))
    trainable.reset_config({"trial_id": "last", **following})
    assert freed == [[None]]


def test_a_gpu_that_is_lost_between_two_trials_ends_the_worker_in_the_next_ones_first_step(
    worker, monkeypatch
):
    def lost(*given):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    trainable = worker()
    monkeypatch.setattr(module, "best_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(module, "release_memory", lost)
    following = {"model": "timm:test_resnet", "strategy": "full", "max_epochs": 1}
    assert trainable.reset_config({"trial_id": "next", **following})
    monkeypatch.setattr(module.TrialTrainable, "_fresh_run", lost)
    with pytest.raises(WorkerBroken, match="illegal memory access"):
        trainable.step()


def test_each_result_brings_the_losses_of_the_images_also_of_epochs_that_are_told_again(worker):
    first = worker(patience=0)
    brought = [first.step() for _ in range(2)]
    first.cleanup()
    again = worker(patience=0)
    told = [again.step() for _ in range(2)]
    for one, other in zip(brought, told, strict=True):
        # They are calibrated, val_loss is plain.
        assert one[LOSSES].mean() == pytest.approx(one["val_loss"], rel=0.2)
        assert other[LOSSES].tolist() == one[LOSSES].tolist()
