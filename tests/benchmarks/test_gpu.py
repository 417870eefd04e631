"""`benchmarks/speed/gpu.py` on a processor, on a machine that has torch and little else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]

ABSENT = (
    *("pandas", "pyarrow", "optuna", "ray", "platformdirs", "psutil", "click", "rich", "matplotlib"),
    *("onnx", "onnxruntime", "onnxscript"),
)
"""What tuner needs elsewhere and a machine with a GPU may lack."""


@pytest.fixture
def run(tmp_path):
    """Runs the program, and whatever processes it starts, where those are absent."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({ABSENT!r}))\n")

    def measured(*options):
        return subprocess.run(
            [sys.executable, "-m", "benchmarks.speed.gpu", *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    return measured


def test_what_is_absent_is_absent(tmp_path, run):
    said = subprocess.run(
        [sys.executable, "-c", "import pandas"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError" in said.stderr


@pytest.mark.slow
def test_all_checks_run_and_pass_on_a_processor_without_what_a_gpu_machine_may_lack(run):
    said = run("--device", "cpu", "--check", "--quick")
    assert said.returncode == 0, said.stdout + said.stderr[-2000:]
    lines = said.stdout.splitlines()
    assert [line.split()[0] for line in lines[:6]] == ["ok"] * 6
    assert lines[6] == "6 of 6 checks passed"


def test_a_check_that_fails_says_so_by_its_exit_status(monkeypatch, capsys):
    from benchmarks.speed import gpu_checks

    def pictures_agree(job):
        return False, "they do not"

    monkeypatch.setattr(gpu_checks, "CHECKS", (pictures_agree, gpu_checks.nothing_waits))
    job = type("Job", (), {"device": "cpu"})()
    assert not gpu_checks.all_pass(job)
    assert "FAILED pictures agree: they do not" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif("TUNER_BENCHMARKS" not in os.environ, reason="a whole benchmark; set TUNER_BENCHMARKS=1")
def test_every_table_is_printed_on_a_processor_without_it(run):
    said = run("--device", "cpu", "--quick")
    assert said.returncode == 0, said.stdout + said.stderr[-2000:]
    for words in (
        "images/s",
        "hand-written loop",
        "frozen backbone",
        "trials at once",
        "tuner's step: eager",
    ):
        assert words in said.stdout
    assert "machine: no GPU, a processor alone" in said.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_gpu_that_is_not_there_is_told_in_a_line(monkeypatch, capsys):
    from benchmarks.speed import gpu

    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cuda"])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("torch sees no NVIDIA GPU here; --device cpu runs without")
