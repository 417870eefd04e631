"""A process made ready to train, measure or score: its threads, its memory, and what a GPU may round.

What it says to a GPU was run on an NVIDIA H200.
"""

import contextlib
import ctypes
from collections.abc import Iterator

import cv2
import torch

from trainables.collection import collect_as_usual

__all__ = ["as_worker", "keep_freed_memory", "prepare_worker"]

M_TRIM_THRESHOLD, M_MMAP_MAX, NEVER = -1, -4, 2**31 - 1
"""Parameters of glibc's mallopt, and a threshold that is not reached."""

USUAL = ((M_MMAP_MAX, 65536), (M_TRIM_THRESHOLD, 128 * 1024))
"""What glibc starts with; source: mallopt(3)."""

_state = {"prepared": False}
"""Whether this process is a worker for good, whose memory stays as it was told."""


def prepare_worker(num_threads: int) -> None:
    """Make this process compute as every worker does, on `num_threads` threads; for good.

    Trials, seeds, probes of a GPU, timings and scoring all call it, so that what one measures holds for the others.
    A GPU's convolutions and products may use TF32, whose 10 bits are enough for a model; sampling grids and colours
    are computed without products and stay exact.
    """
    _state["prepared"] = True
    _prepare(num_threads)


def _prepare(num_threads: int) -> None:
    collect_as_usual()
    keep_freed_memory()
    torch.set_num_threads(num_threads)
    cv2.setNumThreads(1)
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


@contextlib.contextmanager
def as_worker(num_threads: int) -> Iterator[None]:
    """While entered this process is as `prepare_worker` makes it; afterwards as it was."""
    prepared = _state["prepared"]
    threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    benchmark = torch.backends.cudnn.benchmark
    _prepare(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(opencv_threads)
        _state["prepared"] = prepared
        if not prepared:
            _mallopt(USUAL)
        if torch.cuda.is_available():
            torch.backends.cuda.matmul.allow_tf32 = matmul
            torch.backends.cudnn.allow_tf32 = cudnn
            torch.backends.cudnn.benchmark = benchmark


def keep_freed_memory() -> bool:
    """Let this process keep what it frees for its next batch; whether the C library could be told so.

    By default glibc returns each large tensor to the system and takes it back a moment later, page by page:
    GoogLeNet at 224 px spent a fifth of its time there. Source: mallopt(3).
    """
    return _mallopt(((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER)))


def _mallopt(settings: tuple[tuple[int, int], ...]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return False
    answers = [mallopt(name, value) for name, value in settings]
    return all(answers)
