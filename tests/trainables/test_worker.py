"""One preparation for whoever trains, measures or scores."""

import platform
import subprocess
import sys
from types import SimpleNamespace

import cv2
import pytest
import torch

from trainables import worker
from trainables.worker import as_worker, prepare_worker


@pytest.fixture
def process(monkeypatch):
    """A process that is put back as it was, whose GPU, if it seems to have one, is not asked."""
    threads, opencv = torch.get_num_threads(), cv2.getNumThreads()
    monkeypatch.setattr(worker, "_state", {"prepared": False})
    yield monkeypatch
    torch.set_num_threads(threads)
    cv2.setNumThreads(opencv)


@pytest.fixture
def flags(process):
    """What would be told to a GPU, in place of torch's own."""
    found = SimpleNamespace(
        cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False)),
        cudnn=SimpleNamespace(allow_tf32=False, benchmark=False),
    )
    process.setattr(torch, "backends", found)
    process.setattr(torch.cuda, "is_available", lambda: True)
    return found


def told(flags):
    return (flags.cuda.matmul.allow_tf32, flags.cudnn.allow_tf32, flags.cudnn.benchmark)


def test_a_worker_has_its_threads_and_a_gpu_may_use_tf32_and_choose_its_convolutions(flags):
    prepare_worker(3)
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 1)
    assert told(flags) == (True, True, True)


def test_without_a_gpu_the_processors_products_are_left_alone(process):
    process.setattr(torch.cuda, "is_available", lambda: False)
    before = torch.get_float32_matmul_precision()
    prepare_worker(1)
    assert torch.get_float32_matmul_precision() == before


def test_a_library_call_is_a_worker_for_a_while_and_then_what_it_was(flags, process):
    memory = []
    process.setattr(worker, "_mallopt", lambda settings: memory.append(dict(settings)) or True)
    torch.set_num_threads(2)
    cv2.setNumThreads(4)
    inside = []

    def fails():
        with as_worker(5):
            inside.append((torch.get_num_threads(), cv2.getNumThreads(), told(flags)))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert inside == [(5, 1, (True,) * 3)]
    assert (torch.get_num_threads(), cv2.getNumThreads(), told(flags)) == (2, 4, (False,) * 3)
    assert memory[-1] == dict(worker.USUAL)


def test_a_worker_that_scores_stays_one(flags, process):
    memory = []
    process.setattr(worker, "_mallopt", lambda settings: memory.append(dict(settings)) or True)
    prepare_worker(2)
    with as_worker(1):
        pass
    assert told(flags) == (True, True, True)
    assert torch.get_num_threads() == 2
    assert dict(worker.USUAL) not in memory


CHURN = """
import resource, sys
import numpy as np
from trainables.worker import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
def churn():
    for _ in range(5):
        [np.ones(2_500_000) for _ in range(5)]
churn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
churn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
def test_a_worker_keeps_the_memory_that_it_frees():
    faults = {
        word: int(subprocess.run([sys.executable, "-c", CHURN, word], capture_output=True, check=True).stdout)
        for word in ("keep", "default")
    }
    assert faults["keep"] < faults["default"] / 10


@pytest.mark.parametrize("error", [OSError("no such library"), TypeError("bad argument"), None])
def test_a_c_library_without_mallopt_is_left_alone(monkeypatch, error):
    def library(name):
        if error is not None:
            raise error
        return object()

    monkeypatch.setattr(worker.ctypes, "CDLL", library)
    assert worker.keep_freed_memory() is False
