"""Scoring a model without training it: precision, logits of stored images, plain metrics."""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainables import strategies
from trainables.config import CROP, TrialConfig
from trainables.data.batches import eval_batches, normalise
from trainables.data.cache import ImageCache, build_cache
from trainables.device_errors import in_smaller_batches
from trainables.errors import InvalidValue, RunProblem
from trainables.folding import folded
from trainables.metrics import Answers, measure
from trainables.models import create
from trainables.models.classifier import Classifier
from trainables.readback import read_back
from trainables.worker import as_worker

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def score_logits(logits: Tensor, labels: Tensor, positive: int | None = None) -> dict[str, float]:
    """Every metric of `logits` [n, classes] against `labels` [n], by name."""
    return measure(Answers(labels.cpu().numpy(), logits.double().cpu().numpy(), positive))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[None]:
    """The context in which a forward pass runs at `precision` (fp32, bf16, fp16)."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def placed(classifier: Classifier, device: torch.device) -> Classifier:
    """`classifier` on `device` with its weights in channels_last layout, in place."""
    classifier.to(device)
    classifier.to(memory_format=torch.channels_last)
    return classifier


def best_device() -> torch.device:
    """The GPU that this process may use, CUDA's or a Mac's (MPS), else the CPU.

    Ray hides GPUs by an empty CUDA_VISIBLE_DEVICES, which stands for a Mac's as well. MPS was never run, only its
    choice is tested.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    return torch.device("mps" if torch.backends.mps.is_available() and not hidden else "cpu")


def choose_precision(wanted: str, device: torch.device) -> str:
    """The precision for `wanted` on `device`: auto takes bf16 where it is native, fp16 on older GPUs, else fp32.

    Run with bf16 and fp32 on CPUs, and run on an NVIDIA H200 with bf16; older GPUs were not to hand. Raises
    InvalidValue for fp16 without CUDA, whose scaler of gradients it needs, and for bf16 on a Mac's GPU.
    """
    if device.type == "mps":
        if wanted not in ("auto", "fp32"):
            raise InvalidValue(f"--precision {wanted} needs an NVIDIA GPU or a CPU; on a Mac's GPU use fp32")
        return "fp32"
    if wanted == "fp16" and device.type == "cpu":
        raise InvalidValue("--precision fp16 needs a GPU; on a CPU use bf16 or fp32")
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return "bf16" if native_bf16() else "fp32"


def native_bf16() -> bool:
    """Whether this processor is known to multiply bf16 in hardware (AVX512-BF16 or AMX); Linux alone tells."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def build_classifier(config: TrialConfig, num_classes: int, weights: str, run_seed: int) -> Classifier:
    """The trial's model before its first step.

    The backbone is a function of (`weights`, `run_seed`) alone, so that trials share it; the heads
    are drawn from the trial's own seed.
    """
    torch.manual_seed(config.seed)
    return create(
        config.model,
        num_classes,
        weights=weights,
        dropout=config.dropout,
        auxiliary=strategies.wants_auxiliary(config.strategy),
        seed=run_seed,
    )


def load_classifier(config: TrialConfig, num_classes: int, weights: Path) -> Classifier:
    """The model of `config` with the trained `weights` of one of our files, in eval mode.

    Raises RunProblem if the file is missing or does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    classifier = create(
        config.model,
        num_classes,
        dropout=config.dropout,
        auxiliary=strategies.wants_auxiliary(config.strategy),
    )
    try:
        classifier.load_state_dict(load_file(weights))
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise RunProblem(f"{weights} does not hold the weights of {config.model}: {error}") from error
    return classifier.eval()


@torch.inference_mode()
def compute_logits(
    classifier: Classifier,
    cache: ImageCache,
    rows: np.ndarray,
    image_size: int,
    precision: str,
    device: torch.device,
    batch_size: int = 64,
) -> Tensor:
    """Logits float32 [n, classes] of the cached images `rows`, in their order.

    Where memory runs out it starts over with half the batch.
    """

    def logits(network: Classifier, images: Tensor) -> Tensor:
        with autocast(device, precision):
            found: Tensor = network(images).float()
        return found

    return over_images(classifier, logits, cache, rows, image_size, device, batch_size, precision)


@torch.inference_mode()
def over_images(
    classifier: Classifier,
    answer: Callable[[Classifier, Tensor], Tensor],
    cache: ImageCache,
    rows: np.ndarray,
    image_size: int,
    device: torch.device,
    batch_size: int = 64,
    precision: str = "fp32",
) -> Tensor:
    """What `answer` makes of the cached images `rows`, normalised as `classifier` wants them, in their order.

    It is given a network with the answers of `classifier` in `precision`, on `device` and in eval mode; what it returns
    is put on the processor. Where memory runs out it starts over with half the batch.
    """
    placed(classifier, device).eval()

    def compute(size: int) -> Tensor:
        network, found = None, []
        for pixels in eval_batches(cache, rows, batch_size=size, image_size=image_size, device=device):
            images = normalise(pixels, classifier.mean, classifier.std)
            network = network or folded(classifier, images[:1], precision)
            found.append(answer(network, images))
        return read_back(torch.cat(found))

    return in_smaller_batches(compute, batch_size)


def score_images(
    config: TrialConfig,
    classes: Sequence[str],
    weights: Path,
    folder: Path,
    images: Sequence[tuple[str, str]],
    image_size: int,
    precision: str,
    num_threads: int,
    fit: str = CROP,
) -> np.ndarray:
    """Logits float64 [n, classes] of `images`, given as (path below `folder`, pixel hash), seen by `fit`."""
    with as_worker(num_threads):
        return _score_images(config, classes, weights, folder, images, image_size, fit, precision)


def _score_images(
    config: TrialConfig,
    classes: Sequence[str],
    weights: Path,
    folder: Path,
    images: Sequence[tuple[str, str]],
    image_size: int,
    fit: str,
    precision: str,
) -> np.ndarray:
    device = best_device()
    precision = choose_precision(precision, device)
    paths, hashes = [path for path, _ in images], [pixels for _, pixels in images]
    cache = ImageCache.open(build_cache(folder, paths, hashes, image_size, fit=fit))
    classifier = load_classifier(config, len(classes), weights)
    logits = compute_logits(classifier, cache, cache.rows(paths), image_size, precision, device)
    scores: np.ndarray = logits.double().numpy()
    return scores
