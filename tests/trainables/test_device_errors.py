import pytest
import torch

from trainables.device_errors import breaks_process, in_smaller_batches, is_out_of_memory

ASSERT = "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_memory_that_ran_out_is_known_and_does_not_break_the_process(error):
    assert is_out_of_memory(error)
    assert not breaks_process(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(ASSERT),
        torch.AcceleratorError(ASSERT) if hasattr(torch, "AcceleratorError") else RuntimeError(ASSERT),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("CUDA driver error: cudaErrorECCUncorrectable"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        RuntimeError("HIP error: an illegal memory access was encountered"),
    ],
)
def test_a_device_that_is_lost_breaks_the_process(error):
    assert breaks_process(error)
    assert not is_out_of_memory(error)


@pytest.mark.skipif(not hasattr(torch, "AcceleratorError"), reason="torch before 2.8 has no such class")
def test_what_the_device_itself_reports_breaks_the_process_whatever_it_says_unless_memory_ran_out():
    assert breaks_process(torch.AcceleratorError("invalid device context"))
    assert not breaks_process(torch.AcceleratorError("CUDA error: out of memory"))


def test_the_chain_of_an_error_is_looked_through():
    def outer():
        try:
            raise RuntimeError(ASSERT)
        except RuntimeError as error:
            raise ValueError("the loss can't be computed") from error

    with pytest.raises(ValueError, match="loss") as raised:
        outer()
    assert breaks_process(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        KeyError("CUDA error"),
    ],
)
def test_other_errors_are_neither(error):
    assert not is_out_of_memory(error)
    assert not breaks_process(error)


def test_the_work_is_tried_with_half_the_batch_until_it_fits():
    tried = []

    def work(size):
        tried.append(size)
        if size > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "done"

    assert in_smaller_batches(work, 20) == "done"
    assert tried == [20, 10, 5, 2]


def test_a_single_image_that_is_too_much_is_raised():
    tried = []

    def work(size):
        tried.append(size)
        raise MemoryError

    with pytest.raises(MemoryError):
        in_smaller_batches(work, 3)
    assert tried == [3, 1]
    with pytest.raises(ZeroDivisionError):
        in_smaller_batches(lambda size: 1 // 0, 8)


def test_nothing_of_the_failed_attempt_is_alive_at_the_next():
    import gc
    import weakref

    class Tensors:
        pass

    held = []

    def work(size):
        assert all(one() is None for one in held)
        tensors = Tensors()
        held.append(weakref.ref(tensors))
        if size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return size

    gc.disable()
    try:
        assert in_smaller_batches(work, 4) == 1
    finally:
        gc.enable()
    assert len(held) == 3
