"""Training steps a second of networks with depthwise convolutions on a processor: bf16 as it comes, tuner's, and fp32.

    python -m benchmarks.speed.depthwise

A step is forward and backward pass of one batch of drawn noise, random weights, one thread. tuner's is bf16 with the
gradients of some depthwise convolutions in fp32, see `trainables.depthwise`. Without native bf16 it is not what tuner
would choose.
"""

import contextlib
import time
from functools import partial

import torch
from torch.nn import functional as F

from benchmarks.common import in_turns, parse, print_held_equal, print_table
from trainables import models
from trainables.depthwise import quick_gradients
from trainables.inference import autocast, native_bf16
from trainables.models.classifier import Classifier

MODELS = (
    "timm:tf_efficientnet_lite0",
    "mobilenet_v2",
    "timm:mobilenetv4_conv_small",
    "timm:tf_efficientnetv2_b0",
    "timm:convnext_atto",
)
SIZES = (64, 128, 224)
BATCH, CLASSES = 16, 3
CPU = torch.device("cpu")
USUAL = "bf16 as it comes"


def steps_a_second(classifier: Classifier, pictures: torch.Tensor, precision: str, quick: bool) -> float:
    """By one step."""
    labels = torch.arange(len(pictures)) % CLASSES
    started = time.perf_counter()
    gradients = quick_gradients(CPU, precision) if quick else contextlib.nullcontext()
    with autocast(CPU, precision), gradients:
        loss = F.cross_entropy(classifier(pictures).float(), labels)
    loss.backward()
    classifier.zero_grad()
    return 1 / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, models=MODELS, sizes=SIZES)
    torch.set_num_threads(1)
    for size in (32,) if options.quick else options.sizes:
        for model in options.models[:1] if options.quick else options.models:
            classifier = models.create(model, CLASSES, weights="none", dropout=0.0, seed=0).train()
            classifier = classifier.to(memory_format=torch.channels_last)
            pictures = torch.randn(BATCH, 3, size, size).to(memory_format=torch.channels_last)
            contenders = {
                "tuner": partial(steps_a_second, classifier, pictures, "bf16", True),
                USUAL: partial(steps_a_second, classifier, pictures, "bf16", False),
                "fp32": partial(steps_a_second, classifier, pictures, "fp32", False),
            }
            for step in contenders.values():
                step()
            found = in_turns(contenders, options.repeats)
            print_table(f"{model}, {size} px", "steps/s", found, (USUAL, "fp32"))
    native = "native bf16" if native_bf16() else "no native bf16"
    print_held_equal(f"batch {BATCH}", "one thread", native)


if __name__ == "__main__":
    main()
