"""Images a second of a fully training epoch: tuner, the study's loop, and the bound.

    python -m benchmarks.speed.epoch

GoogLeNet and ResNet18 at 224 and 96 px; one trial on all cores, and two trials at once with half of them each. An
epoch is training and validation; a rate is training images by seconds of the whole epoch, both trials together.
"""

from contextlib import ExitStack
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
from benchmarks.speed.children import Child, Make, children, measure_at_once
from benchmarks.speed.contenders import Job, bound_epoch, loop_bf16_epoch, loop_epoch, tuner_epoch
from trainables.inference import native_bf16
from tuner.runs.hardware import usable_cores

BF16 = "study's loop, bf16"
CONTENDERS: dict[str, Make] = {
    "tuner": tuner_epoch,
    "study's loop": loop_epoch,
    BF16: loop_bf16_epoch,
    "bound": bound_epoch,
}
MODELS = ("googlenet", "resnet18")
NUM_IMAGES = {224: 184, 96: 456}


def contenders_here() -> dict[str, Make]:
    """All; the loop in bf16 only where the machine has bf16, since nobody would use it where it is emulated."""
    return {name: make for name, make in CONTENDERS.items() if name != BF16 or native_bf16()}


def compare(images: Images, model: str, size: int, at_once: int, repeats: int) -> dict[str, float]:
    """Images a second of every contender."""
    threads = max(1, usable_cores() // at_once)
    jobs = [Job(images, model, "full", size, threads)] * at_once
    with ExitStack() as stack:
        contenders = {}
        for name, make in contenders_here().items():
            group = stack.enter_context(children(make, jobs))
            contenders[name] = partial(rate, group, images.count("train"))
        return in_turns(contenders, repeats)


def rate(group: list[Child], num_images: int) -> float:
    """Training images a second of all of `group` together."""
    rates: list[float] = [num_images / seconds for seconds in measure_at_once(group)]
    return sum(rates)


def main() -> None:
    """Measure and print."""
    options = parse(__doc__, models=MODELS, sizes=tuple(NUM_IMAGES))
    models = ("resnet18",) if options.quick else options.models
    sizes = {32: 40} if options.quick else {size: NUM_IMAGES[size] for size in options.sizes}
    for size, num_images in sizes.items():
        with chosen_images(num_images) as images:
            for model in models:
                for at_once in (1, 2):
                    found = compare(images, model, size, at_once, options.repeats)
                    trials = "one trial on all cores" if at_once == 1 else "two trials at once"
                    title = f"{model}, {size} px, {trials}, {images.count('train')} training images"
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
