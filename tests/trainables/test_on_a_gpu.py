"""What only an NVIDIA GPU can show; skipped without one, and what needs Ray where that is absent.

With TUNER_TEST_DEVICE=cpu most of it runs on a processor, to see that the tests themselves are right: fp16 computes
there as well, though slowly, a lack of memory is made up, and workers and signals are real. What waits for a GPU or
records a graph is left out.
"""

import contextlib
import io
import os
import signal
import time

import psutil
import pytest
import torch
from command import tuner
from pictures import trial_data, write_pictures

from trainables.config import RunContext, TrialConfig
from trainables.data.device_pictures import resident
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun
from trainables.training_step import TrainingStep
from trainables.worker import as_worker

ON_GPU = torch.cuda.is_available() and os.environ.get("TUNER_TEST_DEVICE") != "cpu"
DEVICE = torch.device("cuda" if ON_GPU else "cpu")

pytestmark = pytest.mark.skipif(
    not ON_GPU and os.environ.get("TUNER_TEST_DEVICE") != "cpu", reason="needs an NVIDIA GPU"
)
gpu_alone = pytest.mark.skipif(not ON_GPU, reason="needs an NVIDIA GPU")

COUNTS = {"blue": 24, "green": 24, "red": 18} if ON_GPU else {"blue": 8, "green": 8, "red": 8}
SMALL = "resnet18" if ON_GPU else "timm:test_resnet"
SIZE = 64 if ON_GPU else 32


@pytest.fixture
def silent():
    """Whatever makes the processor wait for the GPU is an error while this is entered."""
    with as_worker(1):
        yield lambda mode: torch.cuda.set_sync_debug_mode(mode)
    torch.cuda.set_sync_debug_mode("default")


def run_of(folder, precision="bf16", **parameters):
    values = {"model": SMALL, "strategy": "full", "batch_size": 8, "max_epochs": 100, "patience": 0}
    config = TrialConfig.resolve({**values, **parameters})
    compute = ComputeConfig(SIZE, precision=precision, device=DEVICE)
    return TrainingRun(config, trial_data(folder, COUNTS, SIZE), compute)


@gpu_alone
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"mixup": 0.4, "ema_decay": 0.9},
        {"model": "googlenet", "strategy": "full_aux", "class_weight_power": 0.5, "sampler": "weighted"},
        {"strategy": "feature_extractor"},
    ],
)
@pytest.mark.parametrize("share", [1.0, 0.0])
def test_no_epoch_after_the_first_makes_the_processor_wait(tmp_path, monkeypatch, silent, parameters, share):
    monkeypatch.setattr("trainables.data.device_pictures.RESIDENT_SHARE", share)
    resident.cache_clear()
    run = run_of(tmp_path, **parameters)
    run.step()
    silent("error")
    run.step()
    silent("default")
    assert len(run.history) == 2


@gpu_alone
def test_recorded_epochs_are_near_those_of_the_usual_way(tmp_path, monkeypatch, silent):
    recorded = run_of(tmp_path)
    monkeypatch.setattr("trainables.training_step.recorder_for", lambda device: None)
    usual = run_of(tmp_path)
    for _ in range(2):
        assert recorded.step().train_loss == pytest.approx(usual.step().train_loss, rel=0.1)
    assert "differs" not in recorded.applied()["step"]
    assert "can't" not in recorded.applied()["step"]


def test_fp16_with_its_scaler_learns_and_scores_the_weights_of_fp32_as_fp32_does(tmp_path):
    exact, scaled = (run_of(tmp_path, precision, learning_rate=1e-3) for precision in ("fp32", "fp16"))
    assert scaled._step.scaler.is_enabled()
    assert not exact._step.scaler.is_enabled()
    # Not against fp32's losses: fp16 leaves out its first steps until the scale fits.
    losses = [scaled.step().train_loss for _ in range(6)]
    assert losses[-1] < losses[0], losses
    expected = exact.step().val_loss
    scaled.load_state_dict(exact.state_dict())
    assert scaled.validate(1)["val_loss"] == pytest.approx(expected, rel=0.02)


def test_a_step_whose_fp16_gradients_overflow_is_left_out_and_the_scale_is_halved(tmp_path):
    run = run_of(tmp_path, "fp16", max_epochs=3)
    run.step()
    run._step.scaler.update(2.0**60)
    before = {name: value.detach().clone() for name, value in run.classifier.named_parameters()}
    inputs, labels = next(iter(run.loader.train(2)))
    run.classifier.train()
    run._step.update(inputs, labels)
    assert run._step.scaler.get_scale() == 2.0**59
    assert all(torch.equal(value, before[name]) for name, value in run.classifier.named_parameters())


def test_a_trial_in_fp16_goes_on_from_its_state_as_if_nothing_had_been(tmp_path):
    first = run_of(tmp_path, "fp16", max_epochs=3)
    first.step()
    first._step.scaler.update(2.0**9)
    again = run_of(tmp_path, "fp16", max_epochs=3)
    # By way of a file, as a worker does: what is loaded shares no tensor with what goes on here.
    stored = io.BytesIO()
    torch.save(first.state_dict(), stored)
    again.load_state_dict(torch.load(io.BytesIO(stored.getvalue()), weights_only=True, map_location="cpu"))
    assert again._step.scaler.get_scale() == 2.0**9
    assert again.step().train_loss == pytest.approx(first.step().train_loss, rel=0.05)
    assert again._step.scaler.get_scale() == first._step.scaler.get_scale()


@contextlib.contextmanager
def little_memory(monkeypatch, whole, taken):
    """Whole batches, of `whole` images, don't fit: on a GPU three quarters of the `taken` bytes may be allocated."""
    if ON_GPU:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(1.0, 0.75 * taken / total))
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return
    outputs = TrainingStep.outputs

    def small(step, inputs):
        if step.classifier.training and len(inputs) > whole // 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return outputs(step, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "outputs", small)
        yield


def trial_of(folder, context, monkeypatch, **parameters):
    """A trial as a worker of Ray has it, on images that are there already."""
    from trainables import ray_trainable

    data = trial_data(folder, COUNTS, context.image_size)
    monkeypatch.setattr(ray_trainable, "trial_data", lambda context: data)
    monkeypatch.setattr(ray_trainable, "best_device", lambda: DEVICE)
    trainable = ray_trainable.TrialTrainable.__new__(ray_trainable.TrialTrainable)
    trainable.setup({"trial_id": "t", "strategy": "full", "max_epochs": 2, **parameters}, context)
    return trainable


def test_a_batch_that_memory_can_not_hold_is_halved_and_that_is_said(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="needs Ray")
    size, batch, model = (224, 32, "googlenet") if ON_GPU else (32, 16, "timm:test_resnet")

    def trial(name):
        run = tmp_path / name
        run.mkdir()
        (run / "split.parquet").touch()
        context = RunContext(
            str(run), "cache", tuple(COUNTS), size, "none", "fp32", "val_loss", 0, num_threads=1
        )
        return trial_of(tmp_path, context, monkeypatch, model=model, batch_size=batch)

    taken = 0
    if ON_GPU:
        torch.cuda.reset_peak_memory_stats()
        whole = trial("whole")
        assert whole.step().get("error") is None
        taken = torch.cuda.max_memory_allocated()
        whole.cleanup()
        del whole
    halved = trial("halved")
    with little_memory(monkeypatch, batch, taken):
        found = halved.step()
    halved.cleanup()
    assert found.get("error") is None
    parts = int(found["applied"]["batch"].split()[2])
    assert parts >= 2
    assert found["applied"]["batch"] == f"{batch} as {parts} x {-(-batch // parts)}"
    assert found["train_loss"] > 0


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_outlives_a_killed_worker_and_a_killed_driver(tmp_path):
    """A worker is killed in the middle, its trial goes on; then the driver is killed, and `resume` ends the search."""
    pytest.importorskip("ray", reason="needs Ray")
    from tiny import write_space

    from tuner.runs.directory import Run

    write_pictures(tmp_path / "pictures", COUNTS, side=SIZE)
    epochs = 40 if ON_GPU else 4
    options = {
        "space": write_space(tmp_path, LONG_SPACE),
        "data": tmp_path / "pictures",
        "weights": "none",
        "image-size": SIZE,
        "samples": 3,
        "max-epochs": epochs,
        "grace-period": epochs,
        "runs-dir": tmp_path,
        "name": "run",
        "concurrent": 1,
        "folds": 0,
    }
    run = Run(tmp_path / "run")
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    driver = tuner("run", "--no-dashboard", *words)
    assert wait_until(lambda: epochs_of(run) > 0, driver)
    assert wait_until(lambda: kill_worker(run, driver), driver)
    assert wait_until(lambda: len(run.trials()) > 0, driver), driver.communicate()
    retries = run.trials()["retries"].tolist()
    before = epochs_of(run)
    assert wait_until(lambda: epochs_of(run) > before, driver)
    below = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    psutil.wait_procs(below, timeout=30)
    again = tuner("resume", run.path)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert retries[0] == 1
    trained = run.epochs()
    assert run.trials()["status"].tolist() == ["completed"] * 3
    assert trained.groupby("trial_id")["epoch"].apply(list).tolist() == [list(range(1, epochs + 1))] * 3


LONG_SPACE = '''"""Trials that end after their last epoch and not before."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-5, 1e-4, log=True)
    return {"model": "resnet18", "strategy": "full", "batch_size": 8, "patience": 0}
'''


def kill_worker(run, driver):
    """Kill the process of a trial, by the title that Ray and tuner give it; whether there was one."""
    titles = ["TrialTrainable", *(f"ray::{name.name}" for name in run.path.glob("alive/*"))]
    for process in psutil.Process(driver.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(title in " ".join(process.cmdline()) for title in titles):
                process.send_signal(signal.SIGKILL)
                return True
    return False


def wait_until(true, driver, seconds=240):
    """Whether `true` came true in time and while the driver ran."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and driver.poll() is None:
        if true():
            return True
        time.sleep(0.05)
    return False


def epochs_of(run):
    return len(run.epochs()) if (run.path / "epochs").exists() else 0
