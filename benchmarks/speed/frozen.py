"""Images a second of an epoch whose backbone is frozen: tuner's first trial, its second, the study's loop, the bound.

    python -m benchmarks.speed.frozen

The first trial of a machine finds the cache of frozen features empty and fills it; every later one with the same
model, weights, image size and seed reads it. Both augment: a further epoch has pictures, and features, of its own.
"""

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from benchmarks.common import (
    BATCH_SIZE,
    Images,
    chosen_images,
    in_turns,
    parse,
    print_held_equal,
    print_table,
    source,
)
from benchmarks.speed.children import Make, children
from benchmarks.speed.contenders import Job, bound_epoch, loop_bf16_epoch, loop_epoch, tuner_frozen_epoch
from benchmarks.speed.epoch import BF16, MODELS, rate
from trainables.inference import native_bf16
from tuner.runs.hardware import usable_cores

NUM_IMAGES = {224: 120, 96: 240}


def compare(images: Images, model: str, size: int, repeats: int) -> dict[str, float]:
    """Images a second of every contender, one trial on all cores."""
    job = Job(images, model, "feature_extractor", size, usable_cores())
    jobs: dict[str, tuple[Make, Job]] = {
        "tuner, first trial": (tuner_frozen_epoch, job),
        "tuner, second trial": (tuner_frozen_epoch, replace(job, filled=True)),
        "study's loop": (loop_epoch, job),
        "bound": (bound_epoch, job),
    }
    if native_bf16():
        jobs[BF16] = (loop_bf16_epoch, job)
    with ExitStack() as stack:
        contenders = {}
        for name, (make, own) in jobs.items():
            group = stack.enter_context(children(make, [own]))
            contenders[name] = partial(rate, group, images.count("train"))
        return in_turns(contenders, repeats)


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, models=MODELS, sizes=tuple(NUM_IMAGES))
    models = ("resnet18",) if options.quick else options.models
    sizes = {32: 40} if options.quick else {size: NUM_IMAGES[size] for size in options.sizes}
    for size, num_images in sizes.items():
        with chosen_images(num_images) as images:
            for model in models:
                found = compare(images, model, size, options.repeats)
                title = f"{model}, {size} px, frozen backbone, {images.count('train')} training images"
                print_table(title, "images/s", found, ("study's loop", "bound"))
    print_held_equal(
        f"{source()[2]}, the same for all",
        f"batch {BATCH_SIZE}",
        "augmentation 'moderate'",
        "Adam",
        "threads",
        "bf16 where it is native, as here" if native_bf16() else "fp32, since bf16 is not native here",
    )


if __name__ == "__main__":
    main()
