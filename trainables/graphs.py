"""The gradients of a batch as one launch: a recorded CUDA graph, where it is measured to be faster than the usual way.

A small network at batch 32 has its thousand kernels launched one by one, which takes the processor longer than the
GPU takes to run them. Recorded once, they are launched together. The usual (eager) way is the truth: a recording
whose loss or gradients differ from it is not used. Recorded are forward and backward pass; the optimizer's few fused
kernels, which need the learning rate, stay outside.

Tested on the CPU with a recorder that repeats the work, and run on an NVIDIA H200.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from trainables.device_errors import is_out_of_memory, release_memory

__all__ = ["AGREEMENT", "WORTH", "ChosenGradients", "CudaRecorder", "Recorder", "recorder_for"]

AGREEMENT = 0.02
"""Relative difference of losses and of gradients up to which two ways compute the same; bf16 keeps 1 part in 256."""

WORTH = 0.98
"""Share of the eager time that a recording may take; a smaller gain is not worth the memory that it holds.

At batch 128 a large network gains 3 to 4 %, and its recording takes hardly more memory than the eager way did.
"""

FEW_STEPS = 100
"""A trial with fewer steps to go is over before choosing has paid for itself."""

WARM_UP, TIMED = 3, 5
"""Steps before anything is recorded or timed, which let libraries choose their kernels, and steps that are timed."""

Shares = tuple[float, float] | tuple[()]
Found = tuple[Tensor, Tensor]
Gradients = Callable[[Tensor, Tensor, Sequence[float] | Tensor], Found]


class Recorder(Protocol):
    """What records and times work on a device."""

    def record(self, work: Callable[[], Found]) -> tuple[Callable[[], object], Found]:
        """What does `work` again on the same memory, and the tensors that it then writes anew."""

    def seconds(self, work: Callable[[], object]) -> float:
        """How long `work` takes."""


def recorder_for(device: torch.device) -> Recorder | None:
    """CUDA graphs on an NVIDIA GPU; nothing elsewhere."""
    return CudaRecorder(device) if device.type == "cuda" else None


class CudaRecorder:
    """Records work as a CUDA graph; source: PyTorch's notes on CUDA graphs, whole-network capture."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def record(self, work: Callable[[], Found]) -> tuple[Callable[[], object], Found]:
        """The replay of a graph of `work`, and its outputs."""
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # The thread that prepares batches may allocate meanwhile: only what this thread may not do ends a recording.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            found = work()
        return graph.replay, found

    def seconds(self, work: Callable[[], object]) -> float:
        """Seconds of the processor and of the GPU together, a mean of `TIMED` times."""
        for _ in range(WARM_UP):
            work()
        torch.cuda.synchronize(self.device)
        started = time.perf_counter()
        for _ in range(TIMED):
            work()
        torch.cuda.synchronize(self.device)
        return (time.perf_counter() - started) / TIMED


class _Recorded:
    """The gradients of batches of one shape by one recording, with memory of its own for what it reads and writes."""

    def __init__(
        self,
        recorder: Recorder,
        gradients: Gradients,
        model: nn.Module,
        batch: tuple[Tensor, Tensor],
        mixed: bool,
    ) -> None:
        self._inputs, self._labels = (tensor.clone() for tensor in batch)
        self._shares = torch.zeros(2 if mixed else 0, device=batch[0].device)
        self._replay, self._found = recorder.record(
            lambda: gradients(self._inputs, self._labels, self._shares)
        )
        self._written = [(p, p.grad) for p in model.parameters() if p.grad is not None]

    def __call__(self, inputs: Tensor, labels: Tensor, shares: Shares) -> Found:
        self._inputs.copy_(inputs, non_blocking=True)
        self._labels.copy_(labels, non_blocking=True)
        for place, share in enumerate(shares):
            self._shares[place].fill_(share)
        self._replay()
        # A batch that took the usual way has left its own gradients, or none, in their place.
        for parameter, gradient in self._written:
            parameter.grad = gradient
        loss, logits = self._found
        return loss.clone(), logits.clone()


@dataclass
class ChosenGradients:
    """The gradients of `model` by the faster way that agrees with `eager`.

    A way is chosen at the first whole batch of each kind (pictures or features, mixed or not), and anew whenever other
    parameters train. Batches of another length than `batch_size` take the eager way.
    """

    recorder: Recorder | None
    eager: Gradients
    model: nn.Module
    batch_size: int
    said: str = "eager"
    _trains: tuple[bool, ...] = ()
    _steps: int = 0
    _ways: dict[tuple[object, ...], _Recorded | None] = field(default_factory=dict)

    def begin(self, trains: Sequence[bool], steps: int) -> None:
        """Before an epoch: which groups of parameters train in it, and how many steps may follow."""
        if tuple(trains) != self._trains:
            # What was recorded holds memory, and other parameters would need other kernels.
            self._ways.clear()
            self.said = "eager"
        self._trains, self._steps = tuple(trains), steps

    def __call__(self, inputs: Tensor, labels: Tensor, lam: float) -> Found:
        """The gradients of a batch into the parameters; its detached loss and logits."""
        shares: Shares = () if lam == 1.0 else (lam, 1 - lam)
        way = self._way(inputs, labels, shares)
        return self.eager(inputs, labels, shares) if way is None else way(inputs, labels, shares)

    def _way(self, inputs: Tensor, labels: Tensor, shares: Shares) -> _Recorded | None:
        if self.recorder is None or len(inputs) != self.batch_size:
            return None
        kind = (inputs.shape, inputs.dtype, len(shares))
        if kind not in self._ways:
            if self._steps < FEW_STEPS:
                return None
            self._ways[kind] = self._choose(self.recorder, inputs, labels, shares)
        return self._ways[kind]

    def _choose(self, recorder: Recorder, inputs: Tensor, labels: Tensor, shares: Shares) -> _Recorded | None:
        """The recording, if there can be one that is right and worth it; the model is left as it was."""
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        on_gpu = [inputs.device] if inputs.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=on_gpu):
                found = self._compared(recorder, inputs, labels, shares)
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
        # After the `except` of whatever failed: its traceback kept tensors alive.
        release_memory()
        return found

    def _compared(
        self, recorder: Recorder, inputs: Tensor, labels: Tensor, shares: Shares
    ) -> _Recorded | None:
        try:
            usual = recorder.seconds(lambda: self.eager(inputs, labels, shares))
            recorded = _Recorded(recorder, self.eager, self.model, (inputs, labels), bool(shares))
            taken = recorder.seconds(lambda: recorded(inputs, labels, shares))
            difference = self._difference(recorded, inputs, labels, shares)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) and "captur" not in str(error).lower():
                raise
            self.said = f"eager; it can't be recorded: {str(error).splitlines()[0]}"
            return None
        if not difference <= AGREEMENT:
            self.said = f"eager; a graph differs by {difference:.2g}"
            return None
        ratio = usual / taken
        if taken > WORTH * usual:
            self.said = f"eager; a graph is {ratio:.2f} times as fast"
            return None
        self.said = f"graph, {ratio:.2f} times as fast as eager"
        return recorded

    def _difference(self, recorded: _Recorded, inputs: Tensor, labels: Tensor, shares: Shares) -> float:
        """The larger of the relative differences of losses and of gradients, under the same random numbers."""

        def results(way: Callable[..., Found]) -> tuple[Tensor, list[Tensor]]:
            on_gpu = [inputs.device] if inputs.device.type == "cuda" else []
            with torch.random.fork_rng(devices=on_gpu):
                loss, _ = way(inputs, labels, shares)
            return loss, [p.grad.clone() for p in self.model.parameters() if p.grad is not None]

        (loss, gradients), (other_loss, others) = results(self.eager), results(recorded)
        if len(gradients) != len(others):
            return float("inf")
        return max(_relative([loss], [other_loss]), _relative(gradients, others))


def _relative(expected: Sequence[Tensor], found: Sequence[Tensor]) -> float:
    """The norm of the difference by that of `expected`; 0 where both overflow, as fp16's first gradients do."""

    def norm(tensors: Sequence[Tensor]) -> Tensor:
        return torch.stack([tensor.double().square().sum() for tensor in tensors]).sum().sqrt()

    whole, other = norm(expected), norm(found)
    if not bool(whole.isfinite()):
        return 0.0 if not bool(other.isfinite()) else float("inf")
    apart = norm([a - b for a, b in zip(expected, found, strict=True)])
    return float(apart / whole.clamp(min=1e-12))
