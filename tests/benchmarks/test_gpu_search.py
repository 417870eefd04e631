"""`benchmarks/speed/gpu_search.py` without a GPU: its reckoning by hand-made records, and its parts on a processor."""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from benchmarks.speed import gpu_busy, gpu_search
from benchmarks.speed.gpu_busy import Busy, busy_gpus, parse_smi
from benchmarks.speed.gpu_notes import Gap, Note, first_epochs, gaps, read_notes
from benchmarks.speed.gpu_packing import figures, line
from benchmarks.speed.gpu_search import run_in_order
from benchmarks.speed.gpu_trace import read
from benchmarks.speed.gpu_units import (
    PARTS,
    QUICK_MODEL,
    Setting,
    keep,
    measure,
    print_tables,
    read_results,
    units,
)
from benchmarks.speed.gpu_units import (
    line as said_of,
)

SETTING = Setting("cpu", 24, 2, 2, 32, (QUICK_MODEL,), 1, quick=True)


def event(cat, ts, dur, name="kernel", **args):
    return {"ph": "X", "cat": cat, "ts": ts, "dur": dur, "name": name, "args": args, "tid": 1}


def test_a_trace_tells_kernels_gaps_and_who_was_late():
    found = read(
        [
            event("cuda_runtime", 0, 5, "cudaLaunchKernel", correlation=1),
            event("kernel", 10, 100, "conv", correlation=1, stream=7),
            # Beside it, on another stream, and half of it longer.
            event("gpu_memcpy", 60, 100, "copy", correlation=2, stream=9),
            event("cuda_runtime", 50, 5, "cudaMemcpyAsync", correlation=2),
            # Launched 30 after the device had become idle, and begun 40 after.
            event("cuda_runtime", 190, 5, "cudaGraphLaunch", correlation=3),
            event("kernel", 200, 10, "conv", correlation=3, stream=7),
            # Launched long before: the device alone was late.
            event("cuda_runtime", 100, 5, "cudaLaunchKernel", correlation=4),
            event("kernel", 2210, 10, "relu", correlation=4, stream=7),
            event("cuda_runtime", 2220, 5, "cudaStreamSynchronize", correlation=5),
        ],
        steps=2,
    )
    micro = {name: round(1e6 * getattr(found, name)) for name in ("kernel_s", "summed_s", "gap_s", "wall_s")}
    assert micro == {"kernel_s": 170, "summed_s": 220, "gap_s": 2050, "wall_s": 2220}
    assert [round(1e6 * found.host_s), round(1e6 * found.long_s)] == [30, 2000]
    assert (found.kernels, found.launches) == (4, 4)
    assert found.top[0] == ("conv", pytest.approx(110e-6), 2)
    assert list(found.streams) == ["7", "9"]


def test_of_a_processor_the_operations_that_no_other_called_stand_for_kernels():
    ops = [
        event("cpu_op", 0, 100, "linear"),
        event("cpu_op", 10, 80, "addmm"),
        event("cpu_op", 150, 10, "relu"),
    ]
    found = read(ops, steps=1)
    assert [name for name, _, _ in found.top] == ["linear", "relu"]
    with pytest.raises(ValueError, match="no event"):
        read([], steps=1)


def noted(worker, trial, epoch, asked, began, ended):
    return Note(worker, trial, epoch, asked, began, ended)


NOTES = [
    noted(1, "a", 1, 0.0, 2.0, 5.0),
    noted(1, "a", 2, 5.0, 5.0, 6.0),
    noted(2, "b", 1, 0.0, 2.5, 5.5),
    noted(1, "c", 1, 6.25, 6.5, 9.0),
    noted(1, "c", 2, 9.0, 9.0, 10.0),
]


def test_between_two_trials_of_one_worker_lies_a_gap_and_none_between_workers():
    assert gaps(NOTES) == [Gap(0.25, 0.25)]
    assert gaps(NOTES)[0].seconds == 0.5
    assert first_epochs(NOTES) == [2.0, 1.5]


def test_a_search_is_reckoned_from_its_first_step_to_its_last_epoch():
    busy = Busy("NVML", [(1.0, 0.0, 1.0), (3.0, 1.0, 2.0), (7.0, 0.5, 9.0), (11.0, 0.0, 1.0)])
    found = figures(NOTES, 3, 20.0, busy)
    assert found["trials_an_hour"] == 3 * 3600 / 8
    assert found["whole_trials_an_hour"] == 3 * 3600 / 20
    assert found["bound_trials_an_hour"] == 3 * 3600 / 10.5
    assert (found["busy"], found["memory_gib"], found["between_s"], found["workers"]) == (0.75, 9.0, 0.5, 2)
    assert "1.35e+03 trials/h" in line({**found, "busy_by": "NVML"})
    assert line({**figures([], 0, 3.0, busy), "busy_by": "NVML"}).startswith("0 trials, 0 epochs")


def test_a_torn_note_is_passed_over(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "1.jsonl").write_text(json.dumps(vars(NOTES[0])) + '\n{"worker": 1, "tri')
    assert read_notes(tmp_path) == [NOTES[0]]


def test_nvidia_smi_is_read_for_the_gpus_that_may_be_used(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert parse_smi("90, 100\n50, 1024\n100, 2048\n") == (0.75, 2.0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert parse_smi("30, 512\n") == (0.3, 0.5)


def test_without_a_gpu_or_whatever_samples_it_that_is_said(monkeypatch):
    with busy_gpus("cpu") as busy:
        assert busy.source == "absent: no GPU is used"
        assert busy.share(0.0, 1e12) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(gpu_busy.shutil, "which", lambda name: None)
    with busy_gpus("cuda") as busy:
        assert (
            busy.source
            == "absent: neither pynvml nor nvidia-smi answers (RuntimeError: there is no nvidia-smi)"
        )


def test_nvidia_smi_is_sampled_where_pynvml_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(gpu_busy.shutil, "which", lambda name: "nvidia-smi")
    answer = subprocess.CompletedProcess([], 0, "40, 1024\n", "")
    monkeypatch.setattr(gpu_busy.subprocess, "run", lambda *given, **named: answer)
    monkeypatch.setattr(gpu_busy, "EVERY_S", 0.001)
    with busy_gpus("cuda") as busy:
        while not busy.samples:
            time.sleep(0.01)
    assert busy.source == "nvidia-smi"
    assert busy.share(0.0, 1e12) == pytest.approx(0.4)
    assert busy.peak_gib() == 1.0


def test_the_packing_of_searches_comes_first_and_a_part_can_be_chosen():
    whole = replace(SETTING, quick=False)
    names = units(whole, PARTS)
    assert names[:5] == ["search:1", "search:auto", "search:4", "search:2", "checks"]
    assert names[5] == "gap:googlenet@128"
    assert "gap:resnet50@32" in names
    assert names[-3:] == ["probe", "fp16", "deploy"]
    assert units(whole, ["fp16", "probe"]) == ["probe", "fp16"]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Runs units that are done at once, and the list of those that were begun."""
    begun, options = [], argparse.Namespace(minutes=9.0, results=tmp_path / "known.jsonl")

    def apart(unit, setting, options, seconds):
        begun.append(unit)
        if unit != "deploy":
            keep(options.results, unit, setting, {"said": f"{unit} is done"})
        return unit != "deploy"

    monkeypatch.setattr(gpu_search, "_apart", apart)
    monkeypatch.setattr(gpu_search, "print_tables", lambda known: None)
    monkeypatch.setattr(gpu_search, "line", lambda unit, found: found["said"])
    return begun, options


def test_what_is_known_is_not_measured_again_and_a_failed_part_is(asked, capsys):
    begun, options = asked
    assert run_in_order(["probe", "deploy", "fp16"], SETTING, options) == 1
    assert begun == ["probe", "deploy", "fp16"]
    assert run_in_order(["probe", "deploy", "fp16"], SETTING, options) == 1
    assert begun == ["probe", "deploy", "fp16", "deploy"]
    assert "[probe] known: probe is done" in capsys.readouterr().out
    assert run_in_order(["probe"], replace(SETTING, size=64), options) == 0
    assert begun[-1] == "probe"


def test_nothing_is_begun_when_the_time_is_over(asked, capsys):
    begun, options = asked
    options.minutes = 0.1
    run_in_order(["probe"], SETTING, options)
    assert begun == []
    assert "[probe] not begun: the 0.1 minutes are over" in capsys.readouterr().out


def test_a_record_that_a_cut_has_torn_costs_no_other(tmp_path):
    path = tmp_path / "known.jsonl"
    keep(path, "probe", SETTING, {"said": "first"})
    with path.open("a") as file:
        file.write('{"unit": "fp1')
    keep(path, "fp16", SETTING, {"said": "second"})
    assert {unit: one["found"]["said"] for unit, one in read_results(path, SETTING).items()} == {
        "probe": "first",
        "fp16": "second",
    }


def test_a_part_that_hangs_is_ended_with_all_that_it_started():
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    process = subprocess.Popen([sys.executable, "-c", script])
    while not (below := psutil.Process(process.pid).children(recursive=True)):
        time.sleep(0.05)
    gpu_search._end(process)
    assert process.returncode is not None
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []


def test_searches_are_compared_with_one_trial_on_a_gpu_and_with_its_epochs_without_gaps(capsys):
    searched = {"trials": 24, "epochs": 200, "busy_by": "NVML", "bound_trials_an_hour": 500.0}
    known = {
        f"search:{number}": {
            "found": {**searched, "trials_an_hour": rate},
            "machine": "a card",
            "torch": "2",
            "commit": "c",
        }
        for number, rate in (("1", 400.0), ("2", 600.0), ("auto", 570.0))
    }
    print_tables(known)
    said = capsys.readouterr().out
    assert "auto reaches 0.95 of the best of the others" in said
    assert "bound: 1 on a GPU, no gaps" in said
    assert "machine: a card, torch 2, commit c" in said


@pytest.mark.parametrize("unit", [f"gap:{QUICK_MODEL}@8", "probe"])
def test_a_part_runs_on_a_processor(unit, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path))
    found = measure(unit, SETTING, 600.0)
    assert json.loads(json.dumps(found))
    said = said_of(unit, found)
    assert "bound" in said
    assert capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["fp16", "deploy"])
def test_a_slower_part_runs_on_a_processor(unit, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path))
    said = said_of(unit, measure(unit, SETTING, 600.0))
    assert ("scale" if unit == "fp16" else "agrees") in said
