"""How long one image takes through a backbone: on a processor's thread, and in a batch on a GPU."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from trainables.models.classifier import Classifier
    from trainables.setting import ComputeConfig

__all__ = ["CPU_BATCH", "GPU_BATCH", "gpu_milliseconds", "milliseconds", "step_milliseconds"]

TIMED_IMAGES, TIMED_STEPS = 5, 2
CPU_BATCH, GPU_BATCH = 8, 64


def milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image through the backbone, on one thread of the processor."""
    import torch

    precision = compute.precision if compute.device.type == "cpu" else "fp32"
    with _one_thread():
        return _median_milliseconds(classifier, compute.image_size, torch.device("cpu"), precision, 1)


def step_milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image of a training step on CPU_BATCH images, on one thread of the processor.

    An epoch's time follows from it. The weights and the statistics of BatchNorms stay as they are.
    """
    import torch

    from trainables.depthwise import quick_gradients
    from trainables.inference import autocast

    def step(images: "torch.Tensor") -> None:
        with quick_gradients(images.device, compute.precision), autocast(images.device, compute.precision):
            loss = classifier.eval().features(images)[0].float().square().mean()
        loss.backward()
        classifier.zero_grad(set_to_none=True)

    with _one_thread():
        times = _times(step, compute.image_size, torch.device("cpu"), CPU_BATCH, TIMED_STEPS)
    return 1e3 * float(np.median(times)) / CPU_BATCH


def gpu_milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image in a batch through the backbone on the trial's device; run on an NVIDIA H200."""
    batch = _median_milliseconds(classifier, compute.image_size, compute.device, compute.precision, GPU_BATCH)
    return batch / GPU_BATCH


def _median_milliseconds(
    classifier: "Classifier", image_size: int, device: "torch.device", precision: str, batch: int
) -> float:
    """Median time of a batch through the backbone."""
    import torch

    from trainables.inference import autocast

    def forward(images: "torch.Tensor") -> None:
        with torch.inference_mode(), autocast(device, precision):
            classifier.eval().features(images)

    return 1e3 * float(np.median(_times(forward, image_size, device, batch, TIMED_IMAGES)))


def _times(
    work: "Callable[[torch.Tensor], None]", image_size: int, device: "torch.device", batch: int, repeats: int
) -> list[float]:
    """Seconds of each of so many times that `work` has done with a batch; the first time is not counted."""
    import torch

    images = torch.zeros(batch, 3, image_size, image_size, device=device)
    images = images.to(memory_format=torch.channels_last)
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work(images)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return times[1:]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
