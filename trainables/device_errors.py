"""What a device's errors mean: memory ran out, which smaller batches mend, or the process can compute no more.

Their logic is tested with errors made by hand; it was not run on a GPU.
"""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

__all__ = ["breaks_process", "in_smaller_batches", "is_out_of_memory", "release_memory"]

Result = TypeVar("Result")

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)

_ACCELERATOR_ERRORS = (torch.AcceleratorError,) if hasattr(torch, "AcceleratorError") else ()
"""What torch raises, from 2.8 on, for whatever the device itself reports."""

_BROKEN = ("cuda error", "cudaerror", "hip error", "hiperror", "cudnn_status_", "cublas_status_")
"""After most errors of these names every later call of the process fails too; the others cost a new process."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is the device's or the host's out-of-memory, which torch may raise as a RuntimeError."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


def breaks_process(error: BaseException) -> bool:
    """Whether `error` leaves a device that this process can't use any more, such as a device-side assert.

    It may also stand in the chain of what `error` was raised from.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        if isinstance(link, RuntimeError) and not is_out_of_memory(link):
            text = str(link).lower()
            if isinstance(link, _ACCELERATOR_ERRORS) or any(sign in text for sign in _BROKEN):
                return True
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return False


def release_memory() -> None:
    """Hand back what nothing refers to any more; call it outside the `except`, whose traceback refers to much."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def in_smaller_batches(work: Callable[[int], Result], batch_size: int) -> Result:
    """`work(batch_size)`, with half the batch as often as memory runs out; raises once a single image is too much."""
    while True:
        try:
            return work(batch_size)
        except (MemoryError, RuntimeError) as error:
            if batch_size <= 1 or not is_out_of_memory(error):
                raise
        # After the `except`: its traceback keeps every tensor of the attempt alive.
        batch_size = max(1, batch_size // 2)
        release_memory()
