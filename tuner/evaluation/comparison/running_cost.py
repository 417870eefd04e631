"""What a model costs to run: time of an image on a processor, images a second on a GPU, megabytes, parameters.

The time of a batch on a GPU was not run on a GPU.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trainables.models.classifier import Classifier

__all__ = ["GPU_BATCH", "RunningCost", "count_parameters", "median_seconds", "of_classifier", "of_onnx"]

GPU_BATCH = 64

_REPEATS, _SECONDS, _WARM = 15, 0.3, 3


@dataclass(frozen=True)
class RunningCost:
    """What running a model takes on this machine.

    `milliseconds` is the median time of one image on one thread of the processor, `megabytes` (10**6 bytes) what the
    weights or the file take. `gpu_images_per_second` is that of batches of GPU_BATCH; None without a GPU.
    """

    milliseconds: float
    megabytes: float
    parameters: int
    gpu_images_per_second: float | None


def of_classifier(classifier: "Classifier", image_size: int) -> RunningCost:
    """What `classifier` costs on pictures [image_size, image_size], in fp32, computed by PyTorch.

    Heads that only train are not counted.
    """
    import torch

    from trainables.inference import placed
    from trainables.worker import as_worker

    def forward(device: torch.device, batch: int) -> Callable[[], Any]:
        model = placed(classifier, device).eval()
        images = torch.rand(batch, 3, image_size, image_size, device=device)
        images = images.to(memory_format=torch.channels_last)

        def once() -> None:
            model(images)
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return once

    before = next(classifier.parameters()).device
    with torch.inference_mode(), as_worker(1):
        one = median_seconds(forward(torch.device("cpu"), 1))
        gpu = None
        if torch.cuda.is_available():
            gpu = GPU_BATCH / median_seconds(forward(torch.device("cuda"), GPU_BATCH))
        placed(classifier, before)
    answering = [module for name, module in classifier.named_children() if name != "auxiliary"]
    tensors = [tensor for module in answering for tensor in (*module.parameters(), *module.buffers())]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return RunningCost(1e3 * one, size / 1e6, count_parameters(classifier), gpu)


def of_onnx(path: Path, parameters: int) -> RunningCost:
    """What an exported model costs, computed by ONNX Runtime; `parameters` are those of the model it was made from."""
    import onnxruntime

    def session(provider: str | tuple[str, dict[str, str]]) -> Callable[[int], Callable[[], Any]]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        opened = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        size = opened.get_inputs()[0].shape[1]
        random = np.random.default_rng(0)

        def run(batch: int) -> Callable[[], Any]:
            images = random.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
            return lambda: opened.run(None, {"images": images})

        return run

    one = median_seconds(session("CPUExecutionProvider")(1))
    gpu = None
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        # In whole fp32, as `tuner predict` computes there.
        exact = ("CUDAExecutionProvider", {"use_tf32": "0"})
        gpu = GPU_BATCH / median_seconds(session(exact)(GPU_BATCH))
    # Weights of more than 2 GiB lie beside the graph.
    files = [file for file in (path, path.with_name(f"{path.name}.data")) if file.is_file()]
    return RunningCost(1e3 * one, sum(file.stat().st_size for file in files) / 1e6, parameters, gpu)


def count_parameters(*classifiers: "Classifier") -> int:
    """Parameters that answer: those of backbones and heads, without heads that only train."""
    parts = [part for one in classifiers for part in (one.backbone, one.head)]
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def median_seconds(call: Callable[[], Any]) -> float:
    """The median time of `call`, of fifteen calls at least and of a third of a second, after three that don't count."""
    for _ in range(_WARM):
        call()
    times: list[float] = []
    while len(times) < _REPEATS or sum(times) < _SECONDS:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
