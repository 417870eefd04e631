"""Frozen networks that answer on a processor in fp32, images a second: BatchNorm folded in, and as it comes.

    python -m benchmarks.speed.folding

Random weights, drawn noise. tuner folds where nothing trains: probes, features of frozen backbones, scores. The time
that the folding takes, once for all images, is printed below.
"""

import time
from functools import partial

import torch

from benchmarks.common import in_turns, parse, print_held_equal, print_table, say
from trainables import models
from trainables.folding import folded
from trainables.inference import placed
from trainables.models.classifier import Classifier

MODELS = (
    "timm:tf_efficientnet_lite0",
    "timm:tf_efficientnet_lite2",
    "mobilenet_v2",
    "resnet18",
    "googlenet",
    "timm:tf_efficientnetv2_b0",
)
SIZES = (96, 160, 224)
BATCH = 64
CPU = torch.device("cpu")
USUAL = "as it comes"


@torch.inference_mode()
def images_a_second(classifier: Classifier, pictures: torch.Tensor) -> float:
    """By one batch."""
    started = time.perf_counter()
    classifier.features(pictures)
    return len(pictures) / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, models=MODELS, sizes=SIZES)
    for size in (32,) if options.quick else options.sizes:
        for model in options.models[:1] if options.quick else options.models:
            classifier = placed(models.create(model, 3, weights="none", dropout=0.0, seed=0), CPU).eval()
            pictures = torch.randn(BATCH, 3, size, size).to(memory_format=torch.channels_last)
            started = time.perf_counter()
            twin = folded(classifier, pictures[:1], "fp32")
            seconds = time.perf_counter() - started
            contenders = {
                "tuner": partial(images_a_second, twin, pictures),
                USUAL: partial(images_a_second, classifier, pictures),
            }
            for run in contenders.values():
                run()
            print_table(f"{model}, {size} px", "images/s", in_turns(contenders, options.repeats), (USUAL,))
            say(f"folded in {seconds:.2f} s, once")
    print_held_equal(f"batch {BATCH}", f"{torch.get_num_threads()} threads", "fp32")


if __name__ == "__main__":
    main()
