"""What was never run is not told as if it were."""

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tuner.cli import commands

ROOT = Path(__file__).parents[1]

GPU_CODE = re.compile(r"torch\.cuda|\"cuda\"|CUDAExecutionProvider|CUDA error|\"fp16\"|/nvidia/")
NOT_RUN = "not run on a GPU"
RUN = "run on an NVIDIA H200"
RUN_THERE = {
    "trainables/data/augment_on_device.py",
    "trainables/data/copies.py",
    "trainables/data/device_pictures.py",
    "trainables/divergence.py",
    "trainables/graphs.py",
    "trainables/inference.py",
    "trainables/optim.py",
    "trainables/readback.py",
    "trainables/worker.py",
    "tuner/runs/hardware.py",
    "tuner/probing/linear.py",
    "tuner/probing/probed.py",
    "tuner/probing/timing.py",
}
"""What `gpu.py`, the tests for a GPU and a probe went through on that machine."""


def docstrings(file: Path) -> str:
    """All docstrings of a module, in one line."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [
        node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, kinds)
    ]
    return " ".join(" ".join((ast.get_docstring(node) or "").split()) for node in nodes)


def with_gpu_code() -> list[str]:
    """Modules that do something else where there is a GPU."""
    files = sorted(file for room in ("tuner", "trainables") for file in (ROOT / room).rglob("*.py"))
    found = [file for file in files if GPU_CODE.search(file.read_text(encoding="utf-8"))]
    return [str(file.relative_to(ROOT)) for file in found if file.stem != "config"]


@pytest.mark.parametrize("file", with_gpu_code())
def test_a_module_with_code_for_gpus_says_whether_it_was_run_on_one(file):
    assert (RUN if file in RUN_THERE else NOT_RUN) in docstrings(ROOT / file)


def test_the_modules_with_gpu_code_are_found():
    assert {
        "trainables/inference.py",
        "trainables/data/device_pictures.py",
        "tuner/tuning/packing.py",
    } <= set(with_gpu_code())


def test_what_is_said_of_the_probe_is_what_the_list_says():
    assert "tuner/probing/linear.py" in RUN_THERE
    page = (ROOT / "docs" / "how-to" / "choose-a-backbone.md").read_text(encoding="utf-8")
    shown = " ".join(CliRunner().invoke(commands, ["probe", "--help"], terminal_width=500).output.split())
    assert "NVIDIA H200" in page
    assert "not run" not in page + docstrings(ROOT / "tuner/cli/probe.py")
    assert shown.count("not run") == shown.count("fp16, which was not run on a GPU") == 1


def test_the_help_of_what_needs_a_gpu_says_that_it_was_not_run_on_one():
    text = " ".join(CliRunner().invoke(commands, ["run", "--help"], terminal_width=500).output.split())
    assert f"auto measures how many trials fit ({NOT_RUN})" in text
    assert f"fp16 ({NOT_RUN})" in text
