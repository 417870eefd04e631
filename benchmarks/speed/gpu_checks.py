"""Whether a GPU computes what it should, for `gpu.py --check`. On a processor all checks run, too."""

import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmarks.speed.gpu_contenders import Job, forget, synchronisations, training_run
from trainables import augmentations
from trainables.data.augment import augment, draw
from trainables.data.augment_on_device import crop_on_device, draw_on_device, drawings
from trainables.data.preprocessing import centre_crop
from trainables.device_errors import is_out_of_memory, release_memory
from trainables.graphs import AGREEMENT
from trainables.training import TrainingRun
from trainables.training_step import TrainingStep

LARGEST, MEAN = 8, 0.7
"""Levels of 255 by which a picture of the GPU may differ from the processor's: one pixel, and on average."""

DRAWN = 64

Check = Callable[[Job], tuple[bool, str]]


def all_pass(job: Job) -> bool:
    """Run every check and print a line of each; whether all passed."""
    passed = []
    for check in CHECKS:
        ok, said = check(job)
        passed.append(ok)
        print(f"{'ok' if ok else 'FAILED':<7}{check.__name__.replace('_', ' ')}: {said}", flush=True)
        forget(job.device)
    print(f"{sum(passed)} of {len(passed)} checks passed")
    return all(passed)


def precisions_agree(job: Job) -> tuple[bool, str]:
    """The validation loss of the same weights in fp32, in bf16 and, on a GPU, in fp16."""
    exact = training_run(job, precision="fp32")
    exact.step()
    state, expected = exact.state_dict(), exact.validate(1)["val_loss"]
    found = {}
    for precision in ("bf16", "fp16") if job.device == "cuda" else ("bf16",):
        run = training_run(job, precision=precision)
        run.load_state_dict(state)
        found[precision] = run.validate(1)["val_loss"]
    close = all(abs(value - expected) <= AGREEMENT * expected for value in found.values())
    return close, f"fp32 {expected:.4f}, " + ", ".join(f"{name} {value:.4f}" for name, value in found.items())


def pictures_agree(job: Job) -> tuple[bool, str]:
    """The pictures of every policy drawn on the device and by OpenCV, and the middles cut by both."""
    run = training_run(job)
    cache, device = run.data.cache, torch.device(job.device)
    rows = np.arange(min(DRAWN, len(cache)))
    images, numbers = [cache[int(row)] for row in rows], draw(len(rows), 0, 1)
    pixels = torch.from_numpy(np.array(cache.pixels)).to(device)
    places = torch.from_numpy(cache.places[rows]).to(device)
    largest, mean = 0, 0.0
    for name in augmentations.names():
        policy = augmentations.get(name)
        how = drawings(cache.shapes[rows], numbers, job.size, policy)
        table = torch.from_numpy(how.table).to(device)
        there = draw_on_device(pixels, places, table, how.most.max(axis=0).tolist(), job.size, policy)
        apart = np.abs(
            augment(images, numbers, job.size, policy).astype(int) - there.permute(0, 2, 3, 1).cpu().numpy()
        )
        largest, mean = max(largest, int(apart.max())), max(mean, float(apart.mean()))
    cut = crop_on_device(pixels, places, job.size).permute(0, 2, 3, 1).cpu().numpy()
    exact = bool((cut == centre_crop(images, job.size)).all())
    said = f"at most {largest} levels, {mean:.2f} on average; middles {'equal' if exact else 'differ'}"
    return largest <= LARGEST and mean <= MEAN and exact, said


def graphs_agree(job: Job) -> tuple[bool, str]:
    """Whether a recorded step, if there is one, computes what the usual way does."""
    run = training_run(job)
    run.step()
    said = run.applied()["step"]
    return "differs" not in said and "can't" not in said, said


def a_trial_goes_on_elsewhere(job: Job) -> tuple[bool, str]:
    """A trial's state after an epoch, taken up on the processor and again on the device, gives the same scores."""
    run = training_run(job, precision="fp32")
    run.step()
    first = run.validate(1)["val_loss"]
    state = _stored(run)
    elsewhere = training_run(replace(job, device="cpu"), precision="fp32")
    elsewhere.load_state_dict(state)
    second = elsewhere.validate(1)["val_loss"]
    elsewhere.step()
    back = training_run(job, precision="fp32")
    back.load_state_dict(_stored(elsewhere))
    trained = back.step()
    close = abs(first - second) <= AGREEMENT * first
    went_on = trained.epoch == 3 and math.isfinite(trained.train_loss)
    return close and went_on, f"validation loss {first:.4f} here, {second:.4f} on the processor"


def memory_that_runs_out_is_recovered(job: Job) -> tuple[bool, str]:
    """An epoch under a cap of memory that its whole batches do not fit in, computed in parts."""
    if job.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    run = _unrecorded(job)
    run.step()
    expected = run.history[0].train_loss
    del run
    forget(job.device)
    limit = _capped(job)
    try:
        parts, trained = 1, None
        while trained is None:
            run = _unrecorded(job)
            run.split_batches(parts)
            trained = _attempt(run)
            parts = run.accumulation
            del run
            release_memory()
    finally:
        limit()
    return parts > 1 and math.isfinite(trained), f"{parts} parts, loss {trained:.4f} for {expected:.4f}"


def nothing_waits(job: Job) -> tuple[bool, str]:
    """How often an epoch after the first makes the processor wait for a GPU."""
    if job.device != "cuda":
        return True, "there is no GPU to wait for"
    run = training_run(job)
    run.step()
    count = synchronisations(run.step)
    return count == 0, f"{count} synchronisations"


CHECKS: tuple[Check, ...] = (
    precisions_agree,
    pictures_agree,
    graphs_agree,
    a_trial_goes_on_elsewhere,
    memory_that_runs_out_is_recovered,
    nothing_waits,
)


def _stored(run: TrainingRun) -> dict[str, object]:
    """The state as a worker of another machine would read it."""
    buffer = io.BytesIO()
    torch.save(run.state_dict(), buffer)
    buffer.seek(0)
    state: dict[str, object] = torch.load(buffer, weights_only=True, map_location="cpu")
    return state


def _unrecorded(job: Job) -> TrainingRun:
    """A trial that launches its steps in the usual way: a recording holds memory of its own."""
    run = training_run(job)
    run._step.chosen.recorder = None
    return run


def _attempt(run: TrainingRun) -> float | None:
    """The loss of one epoch, or None where memory ran out and batches were made smaller."""
    try:
        return run.step().train_loss
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or not run.halve_batch():
            raise
    return None


def _capped(job: Job) -> Callable[[], None]:
    """Let whole batches run out of memory from now on; what takes the cap away.

    On a GPU by torch's cap on the memory of the process, three quarters of what an epoch's tensors took. A processor
    has no such cap: there a part of more than half a batch fails as it would.
    """
    if job.device == "cuda":
        taken = torch.cuda.max_memory_allocated()
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, 0.75 * taken / whole))
        return lambda: torch.cuda.set_per_process_memory_fraction(1.0)
    outputs = TrainingStep.outputs

    def small(step: TrainingStep, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if step.classifier.training and len(inputs) > job.batch // 2:
            raise torch.OutOfMemoryError("out of memory")
        return outputs(step, inputs)

    setattr(TrainingStep, "outputs", small)  # noqa: B010
    return lambda: setattr(TrainingStep, "outputs", outputs)
