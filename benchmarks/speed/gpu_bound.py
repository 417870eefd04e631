"""The bound of `gpu.py`: no epoch of the same network on the same pictures can be much faster."""

from collections.abc import Callable
from functools import partial
from itertools import cycle, islice

import torch
from torch import Tensor, nn

from benchmarks.speed.gpu_contenders import CLASSES, EVAL_BATCH, Epoch, Job, training_run
from trainables.inference import autocast
from trainables.strategies import apply_freeze
from trainables.training import TrainingRun

HELD = 8
"""Batches that the bound goes through in turn: enough that no cache holds them, few enough for any GPU."""


def bound_epoch(job: Job) -> Epoch:
    """The same step on normalised tensors that lie on the device; on a GPU one graph a step and one a validation batch.

    No image is read, copied or augmented, and nothing is recorded.
    """
    run = training_run(job)
    steps = -(-job.pictures.count("train") // job.batch)
    looks = -(-job.pictures.count("val") // EVAL_BATCH)
    bound = _Bound(run, job)
    trains, looking = bound.ways(steps)

    def epoch() -> None:
        trains()
        for _ in range(looks):
            looking()

    epoch()
    return epoch


class _Bound:
    """The step of `bound_epoch` and what it reads, which a graph does not keep alive."""

    def __init__(self, run: TrainingRun, job: Job) -> None:
        self._run, self._model, self._device = run, run.classifier, torch.device(job.device)
        self._precision = job.precision
        on_gpu = job.device == "cuda"
        self._held = [
            (self._pictures(job.batch, job.size), _labels(job.batch, self._device))
            for _ in range(1 if on_gpu else HELD)
        ]
        self._seen = self._pictures(min(EVAL_BATCH, job.pictures.count("val")), job.size)
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=1e-5, fused=True, capturable=on_gpu)

    def ways(self, steps: int) -> tuple[Callable[[], None], Callable[[], None]]:
        """What trains on `steps` batches, and what looks at one of validation."""
        self._trains()
        if self._device.type != "cuda":
            return partial(self._eagerly, steps), self._looked
        training = graphed(partial(self._step, *self._held[0]))
        self._model.eval()
        return partial(_again, training, steps), graphed(self._look)

    def _step(self, pictures: Tensor, labels: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        with autocast(self._device, self._precision):
            logits = self._model(pictures)
        nn.functional.cross_entropy(logits, labels).backward()
        self._optimizer.step()

    def _look(self) -> None:
        with torch.no_grad(), autocast(self._device, self._precision):
            self._model(self._seen)

    def _looked(self) -> None:
        self._model.eval()
        self._look()

    def _trains(self) -> None:
        self._model.train()
        apply_freeze(self._run.groups, 1)

    def _eagerly(self, steps: int) -> None:
        self._trains()
        for pictures, labels in islice(cycle(self._held), steps):
            self._step(pictures, labels)

    def _pictures(self, count: int, size: int) -> Tensor:
        return torch.randn(count, 3, size, size).to(self._device, memory_format=torch.channels_last)


def _again(work: Callable[[], None], times: int) -> None:
    for _ in range(times):
        work()


def _labels(count: int, device: torch.device) -> Tensor:
    return (torch.arange(count) % len(CLASSES)).to(device)


def graphed(work: Callable[[], None]) -> Callable[[], None]:
    """What does `work` again as one launch: a CUDA graph, on the memory that `work` uses."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()

    def replay(_reads: object = work) -> None:
        # The tensors that `work` refers to stay where the graph reads them.
        graph.replay()

    return replay
