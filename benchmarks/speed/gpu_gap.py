"""The part `gap` of `gpu_search.py`: what keeps an epoch of one model below the bound.

The rates of tuner and of the bound; the epoch's parts each alone (the batches drawn, validation); the usual way and the
recorded one, whichever tuner would choose; then a trace of one epoch of tuner, and of one of the bound.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.common import in_turns, print_table
from benchmarks.speed.gpu_bound import bound_epoch
from benchmarks.speed.gpu_contenders import Epoch, Job, forget, seconds, training_run
from benchmarks.speed.gpu_trace import lines, traced

TUNER, BOUND = "tuner", "bound"


def measure_gap(job: Job, repeats: int) -> dict[str, Any]:
    """Print all of it; the figures."""
    count = job.pictures.count("train")
    steps = -(-count // job.batch)
    run, bound = training_run(job), bound_epoch(job)
    run.step()
    contenders = {name: partial(_rate, epoch, job) for name, epoch in ((TUNER, run.step), (BOUND, bound))}
    rates = in_turns(contenders, repeats)
    print_table(
        f"{job.model}, batch {job.batch}, {job.size} px, {job.precision}", "images/s", rates, (BOUND,)
    )
    found: dict[str, Any] = {"images": count, "rates": rates, "step": run.applied()["step"]}
    found["alone_s"] = _alone(run, job)
    print(f"  tuner's step: {found['step']}; alone: {_milliseconds(found['alone_s'])}", flush=True)
    for name, epoch in ((TUNER, run.step), (BOUND, bound)):
        trace = traced(epoch, steps, job.device)
        found[f"trace_{name}"] = trace.document()
        print(f" {name}, one epoch traced:", *lines(trace), sep="\n", flush=True)
    del run, bound
    forget(job.device)
    if job.device == "cuda":
        found["ways"] = _ways(job, repeats)
    return found


def _alone(run: Any, job: Job) -> dict[str, float]:
    """Seconds of the parts of an epoch by themselves: its batches drawn and not trained on, and validation."""
    import trainables.data.augment_on_device as drawing

    def drawn() -> None:
        for _ in run.loader.train(run.epoch + 1):
            pass

    found = {"batches drawn": min(seconds(drawn, job.device) for _ in range(3))}
    if job.device == "cuda":
        for together in (64, 128):
            with _set(drawing, "TOGETHER", together):
                found[f"drawn {together} at once"] = min(seconds(drawn, job.device) for _ in range(3))
    found["validation"] = min(seconds(partial(run.validate, run.epoch), job.device) for _ in range(3))
    return found


def _ways(job: Job, repeats: int) -> dict[str, float]:
    """Rates of tuner with steps launched one by one, and recorded whatever that gains."""
    from trainables import graphs

    found = {}
    for name, worth in (("eager", 0.0), ("graph", 10.0)):
        with _set(graphs, "WORTH", worth):
            run = training_run(job)
            run.step()
            found |= in_turns({name: partial(_rate, run.step, job)}, repeats)
            del run
            forget(job.device)
    print(
        f"  images/s, each way: {', '.join(f'{name} {rate:.0f}' for name, rate in found.items())}", flush=True
    )
    return found


def _rate(epoch: Epoch, job: Job) -> float:
    return job.pictures.count("train") / seconds(epoch, job.device)


def line(found: dict[str, Any]) -> str:
    """One model in a line."""
    rates, trace = found["rates"], found["trace_tuner"]
    return (
        f"tuner {rates[TUNER]:.4g} images/s, bound {rates[BOUND]:.4g}, ratio {rates[TUNER] / rates[BOUND]:.2f};"
        f" kernels {trace['kernel_s'] / trace['wall_s']:.2f} of a traced epoch, host-bound"
        f" {trace['host_s'] / trace['wall_s']:.2f}; alone: {_milliseconds(found['alone_s'])}; {found['step']}"
    )


def _milliseconds(parts: dict[str, float]) -> str:
    return ", ".join(f"{name} {1e3 * taken:.1f} ms" for name, taken in parts.items())


@contextmanager
def _set(module: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
