"""Images a second on a GPU: tuner, the study's loop, a good hand-written loop, and the bound.

    python -m benchmarks.speed.gpu
    python -m benchmarks.speed.gpu --check

An epoch is training and validation; a rate is training images by seconds of the whole epoch. The bound is the same
step, recorded as a graph, on tensors that lie on the GPU. Then the epoch of a frozen backbone, several trials at once,
how often an epoch of tuner waits for the GPU, and the most memory of each. `--check` measures nothing and says whether
what the GPU computes is right. Needs torch, torchvision, timm, OpenCV, Pillow, safetensors, scikit-learn and numpy;
no Ray and no network. With `--device cpu` the same runs on a processor, to see that it does.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from benchmarks.common import in_turns, print_table, say  # noqa: E402
from benchmarks.speed.children import children, measure_at_once  # noqa: E402
from benchmarks.speed.gpu_bound import bound_epoch  # noqa: E402
from benchmarks.speed.gpu_contenders import (  # noqa: E402
    Epoch,
    Job,
    Pictures,
    drawn_pictures,
    forget,
    handwritten_epoch,
    seconds,
    study_epoch,
    synchronisations,
    training_run,
    tuner_epoch,
)

MODELS = ("googlenet", "resnet50", "timm:convnext_nano", "timm:vit_small_patch16_224")
BATCHES = (32, 128)
SIZE = 224
IMAGES = 2048
TOGETHER = (1, 2, 4)
VALIDATION_SHARE = 8
PARTS = MODELS_PART, FROZEN_PART, TOGETHER_PART = "models", "frozen", "together"

TUNER, STUDY, WRITTEN, BOUND = "tuner", "study's loop", "hand-written loop", "bound"
CONTENDERS: Mapping[str, Callable[[Job], Epoch]] = {
    TUNER: tuner_epoch,
    STUDY: study_epoch,
    WRITTEN: handwritten_epoch,
    BOUND: bound_epoch,
}


def compare(job: Job, repeats: int, contenders: Mapping[str, Callable[[Job], Epoch]]) -> None:
    """Print the rates of the contenders, their memory, and how tuner's steps were launched."""
    ready, peaks = {}, {}
    for name, make in contenders.items():
        say(f"  preparing {name}")
        before = _start_counting(job.device)
        ready[name] = make(job)
        peaks[name] = _peak(job.device) - before
    count = job.pictures.count("train")
    found = in_turns(
        {name: partial(_rate, epoch, job.device, count) for name, epoch in ready.items()}, repeats
    )
    title = f"{job.model}, batch {job.batch}, {job.size} px, {count} training images, {job.precision}"
    print_table(title, "images/s", found, [name for name in (STUDY, WRITTEN, BOUND) if name in found])
    run = training_run(job)
    run.step()
    print(f"tuner's step: {run.applied()['step']}")
    if job.device == "cuda":
        print(f"synchronisations in an epoch of tuner: {synchronisations(run.step)}")
        memory = ", ".join(f"{name} {peak / 2**30:.2f}" for name, peak in peaks.items())
        print(f"peak memory in GiB: {memory}")
    del run, ready
    forget(job.device)


def frozen(job: Job, repeats: int) -> None:
    """Print the rates of an epoch that trains the head alone: a machine's first trial, its second, the study's loop."""
    job = replace(job, strategy="feature_extractor")
    count = job.pictures.count("train")
    study = study_epoch(job)
    rates: dict[str, list[float]] = {"tuner, first trial": [], "tuner, second trial": []}

    def trial(name: str) -> float:
        # A folder of features serves the first trial of a round and then the second.
        if name == "tuner, first trial":
            folders.append(Path(tempfile.mkdtemp(dir=job.pictures.folder)))
        run = training_run(job, folders[-1])
        return _rate(run.step, job.device, count)

    folders: list[Path] = []
    trial("tuner, first trial")
    for _ in range(repeats):
        for name, measured in rates.items():
            measured.append(trial(name))
    found = {name: sorted(measured)[len(measured) // 2] for name, measured in rates.items()}
    found[STUDY] = in_turns({STUDY: partial(_rate, study, job.device, count)}, repeats)[STUDY]
    print_table(
        f"{job.model}, frozen backbone, batch {job.batch}, {job.size} px", "images/s", found, (STUDY,)
    )
    del study
    forget(job.device)


def at_once(job: Job, together: tuple[int, ...], repeats: int) -> None:
    """Print the rates of several trials of tuner on one device, all of them together."""
    found = {}
    for number in together:
        with ExitStack() as stack:
            group = stack.enter_context(children(_child, [job] * number))

            def rates(group: object = group) -> float:
                measured: list[float] = measure_at_once(group)  # type: ignore[arg-type]
                return sum(measured)

            name = f"{number} trial" + "s" * (number > 1)
            found |= in_turns({name: rates}, repeats)
    first = next(iter(found))
    print_table(f"{job.model}, batch {job.batch}, trials at once", "images/s", found, (first,))


def _child(job: Job) -> Callable[[], float]:
    epoch = tuner_epoch(job)
    return partial(_rate, epoch, job.device, job.pictures.count("train"))


def _rate(epoch: Epoch, device: str, images: int) -> float:
    return images / seconds(epoch, device)


def _start_counting(device: str) -> int:
    if device != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats()
    return int(torch.cuda.memory_allocated())


def _peak(device: str) -> int:
    return int(torch.cuda.max_memory_allocated()) if device == "cuda" else 0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cuda", "cpu"), default=here, help=f"here {here}")
    parser.add_argument("--check", action="store_true", help="say whether the GPU computes what it should")
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="who competes"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; means nothing")
    parser.add_argument("--models", nargs="+", default=MODELS, help="any that tuner knows")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="images a batch")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels a side")
    parser.add_argument("--images", type=int, default=IMAGES, help="training images")
    parser.add_argument("--repeats", type=int, default=3, help="measurements, of which the median counts")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no NVIDIA GPU here; --device cpu runs without")
    if options.quick:
        options.models, options.batches, options.size = ("googlenet",), (8,), 64
        options.images, options.repeats = 24, 1
    return options


def _measure(options: argparse.Namespace, pictures: Pictures) -> None:
    cores = _cores()
    jobs = [
        Job(pictures, model, batch, options.size, options.device, cores)
        for model in options.models
        for batch in options.batches
    ]
    if MODELS_PART in options.parts:
        for job in jobs:
            compare(job, options.repeats, {name: CONTENDERS[name] for name in options.contenders})
    if FROZEN_PART in options.parts:
        frozen(jobs[0], options.repeats)
    if TOGETHER_PART in options.parts:
        at_once(jobs[0], TOGETHER[1:2] if options.quick else TOGETHER, options.repeats)
    print(
        f"\nheld equal: the same drawn pictures as JPEG of 256 px, augmentation 'moderate', Adam;"
        f" {cores} loading processes of the loops that have any"
    )


def main() -> None:
    """Measure and print, or check."""
    options = _options()
    # Where nothing else says so, the cache of images and features is not the user's.
    with tempfile.TemporaryDirectory() as place:
        os.environ.setdefault("TUNER_CACHE_DIR", place)
        with drawn_pictures(options.images, max(8, options.images // VALIDATION_SHARE)) as pictures:
            if options.check:
                from benchmarks.speed.gpu_checks import all_pass

                job = Job(pictures, options.models[0], min(options.batches), options.size, options.device, 0)
                sys.exit(0 if all_pass(job) else 1)
            _measure(options, pictures)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "no GPU, a processor alone"
    print(f"machine: {name}, {_cores()} cores, torch {torch.__version__}", flush=True)


if __name__ == "__main__":
    main()
