"""How long one image takes through a backbone: on a processor's thread, and in a batch on a GPU."""

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from trainables.models.classifier import Classifier
    from trainables.setting import ComputeConfig

__all__ = ["CPU_BATCH", "GPU_BATCH", "batch_milliseconds", "gpu_milliseconds", "milliseconds"]

TIMED_IMAGES, TIMED_BATCHES = 5, 2
CPU_BATCH, GPU_BATCH = 8, 64


def milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image through the backbone, on one thread of the processor."""
    return _on_one_thread(classifier, compute, 1, TIMED_IMAGES)


def batch_milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image in a batch of CPU_BATCH, on one thread of the processor.

    An epoch's time follows from it: what a single image takes beside its arithmetic weighs more on small images.
    """
    return _on_one_thread(classifier, compute, CPU_BATCH, TIMED_BATCHES) / CPU_BATCH


def _on_one_thread(classifier: "Classifier", compute: "ComputeConfig", batch: int, times: int) -> float:
    import torch

    threads = torch.get_num_threads()
    precision = compute.precision if compute.device.type == "cpu" else "fp32"
    torch.set_num_threads(1)
    try:
        place = torch.device("cpu")
        return _median_milliseconds(classifier, compute.image_size, place, precision, batch, times)
    finally:
        torch.set_num_threads(threads)


def gpu_milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image in a batch through the backbone on the trial's device; run on an NVIDIA H200."""
    batch = _median_milliseconds(classifier, compute.image_size, compute.device, compute.precision, GPU_BATCH)
    return batch / GPU_BATCH


def _median_milliseconds(
    classifier: "Classifier",
    image_size: int,
    device: "torch.device",
    precision: str,
    batch: int,
    repeats: int = TIMED_IMAGES,
) -> float:
    """Median time of a batch through the backbone; the first is not counted."""
    import torch

    from trainables.inference import autocast

    images = torch.zeros(batch, 3, image_size, image_size, device=device).to(
        memory_format=torch.channels_last
    )
    times = []
    with torch.inference_mode(), autocast(device, precision):
        for _ in range(repeats + 1):
            started = time.perf_counter()
            classifier.eval().features(images)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - started)
    return 1e3 * float(np.median(times[1:]))
