"""How long one image takes through a backbone: on a processor's thread, and in a batch on a GPU."""

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from trainables.models.classifier import Classifier
    from trainables.setting import ComputeConfig

__all__ = ["GPU_BATCH", "gpu_milliseconds", "milliseconds"]

TIMED_IMAGES = 5
GPU_BATCH = 64


def milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image through the backbone, on one thread of the processor."""
    import torch

    threads = torch.get_num_threads()
    precision = compute.precision if compute.device.type == "cpu" else "fp32"
    torch.set_num_threads(1)
    try:
        return _median_milliseconds(classifier, compute.image_size, torch.device("cpu"), precision, 1)
    finally:
        torch.set_num_threads(threads)


def gpu_milliseconds(classifier: "Classifier", compute: "ComputeConfig") -> float:
    """Median time of one image in a batch through the backbone on the trial's device; run on an NVIDIA H200."""
    batch = _median_milliseconds(classifier, compute.image_size, compute.device, compute.precision, GPU_BATCH)
    return batch / GPU_BATCH


def _median_milliseconds(
    classifier: "Classifier", image_size: int, device: "torch.device", precision: str, batch: int
) -> float:
    """Median time of a batch through the backbone; the first is not counted."""
    import torch

    from trainables.inference import autocast

    images = torch.zeros(batch, 3, image_size, image_size, device=device).to(
        memory_format=torch.channels_last
    )
    times = []
    with torch.inference_mode(), autocast(device, precision):
        for _ in range(TIMED_IMAGES + 1):
            started = time.perf_counter()
            classifier.eval().features(images)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - started)
    return 1e3 * float(np.median(times[1:]))
