"""What a trial computes and takes, whatever makes it fast."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pictures import trial_data

from trainables.config import TrialConfig
from trainables.inference import autocast
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun

ROOT = Path(__file__).parents[2]

AGREEMENT = 0.02
"""Relative difference of bf16 and fp32 validation losses of the same weights; bf16 keeps 8 bits, 1 part in 256."""

CPU_SHARE = """
import json, sys, threading, time
from pathlib import Path
import cv2, torch
from pictures import trial_data
from trainables.config import RunContext, TrialConfig
from trainables.ray_trainable import TrialTrainable, compute_config
from trainables.training import TrainingRun

data = trial_data(Path(sys.argv[1]), {"blue": 8, "green": 8, "red": 8}, 64)
for threads in (1, 2):
    context = RunContext(sys.argv[1], str(data.cache.path), data.classes, 64, "none", "fp32", "val_loss", 0, threads)
    trainable = TrialTrainable.__new__(TrialTrainable)
    trainable.setup({"trial_id": "t", "model": "resnet18", "strategy": "full"}, context)
    run = TrainingRun(TrialConfig("resnet18", "full"), data, compute_config(context))
    run.step()
    wall, cpu = time.perf_counter(), time.process_time()
    run.step()
    share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    print(json.dumps([torch.get_num_threads(), cv2.getNumThreads(), share]))
"""


def run_of(folder: Path, model: str, precision: str) -> TrainingRun:
    config = TrialConfig.resolve({"model": model, "strategy": "full", "batch_size": 8, "max_epochs": 2})
    return TrainingRun(config, trial_data(folder, image_size=64), ComputeConfig(64, precision=precision))


@pytest.mark.parametrize("model", ["resnet18", "googlenet", "mobilenet_v2"])
def test_bf16_and_fp32_validation_losses_of_the_same_weights_agree(tmp_path, model):
    exact, fast = run_of(tmp_path / "a", model, "fp32"), run_of(tmp_path / "b", model, "bf16")
    exact.step()
    fast.load_state_dict(exact.state_dict())
    expected, found = exact.validate(1), fast.validate(1)
    assert found["val_loss"] != expected["val_loss"]
    assert found["val_loss"] == pytest.approx(expected["val_loss"], rel=AGREEMENT)


def test_logits_and_losses_are_fp32_under_bf16(tmp_path):
    run = run_of(tmp_path, "resnet18", "bf16")
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    with autocast(torch.device("cpu"), "bf16"):
        assert run._outputs(images)[0].dtype is torch.float32
    loss, logits = run._update(images, torch.tensor([0, 1]))
    assert (loss.dtype, logits.dtype) == (torch.float32, torch.float32)


def test_torch_opencv_and_loading_together_keep_to_the_cores_of_a_trial(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", CPU_SHARE, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        check=True,
    )
    for threads, line in enumerate(said.stdout.splitlines(), start=1):
        torch_threads, opencv_threads, share = json.loads(line)
        assert (torch_threads, opencv_threads) == (threads, 1)
        assert share < threads * 1.1
    assert threads == 2
