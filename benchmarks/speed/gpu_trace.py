"""What a device did during one epoch, read from a trace of torch.profiler: kernels, gaps, and who was late.

The trace is the one that torch writes for chrome://tracing: events with `cat`, `name`, `ts` and `dur` in microseconds.
A kernel and its launch on the processor have the same `correlation`; all kernels of a CUDA graph have that of the
graph's launch.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
HOST = ("cuda_runtime", "cuda_driver")
PROCESSOR = "cpu_op"
LONG_US = 1000.0
"""Gaps longer than this are told apart: they lie between training and validation, not between two kernels."""

TOP = 8

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Trace:
    """One epoch of `steps` steps; times in seconds.

    `kernel_s` is the time in which at least one kernel ran, `summed_s` the sum over all kernels, which is more where
    two streams overlap. Of the gaps between kernels, `host_s` is the part in which the processor had not launched the
    next kernel yet, and `long_s` the part in gaps of more than a millisecond. `streams` are the sums by stream, `top`
    the names that took longest: name, seconds, times.
    """

    steps: int
    wall_s: float
    kernel_s: float
    summed_s: float
    gap_s: float
    host_s: float
    long_s: float
    kernels: int
    launches: int
    streams: Mapping[str, float]
    top: Sequence[tuple[str, float, int]]

    def document(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def traced(work: Callable[[], object], steps: int, device: str) -> Trace:
    """The trace of `work`, an epoch of `steps` steps."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as profiled:
        work()
        if device == "cuda":
            torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return read(events, steps)


def read(events: Iterable[Event], steps: int) -> Trace:
    """What the events of a trace say; those of a processor alone stand for kernels where there are no others."""
    timed = [event for event in events if event.get("ph") == "X" and "dur" in event]
    ran = [event for event in timed if event.get("cat") in DEVICE]
    launched = {_correlation(event): float(event["ts"]) for event in timed if event.get("cat") in HOST}
    launches = sum(event.get("cat") in HOST and _launches(event["name"]) for event in timed)
    if not ran:
        ran = _outermost([event for event in timed if event.get("cat") == PROCESSOR])
        launches = len(ran)
    if not ran:
        raise ValueError("the trace holds no event of a device")
    ran.sort(key=lambda event: float(event["ts"]))
    began = min(float(event["ts"]) for event in timed if event.get("cat") in (*DEVICE, *HOST, PROCESSOR))
    busy, gaps = _gaps(ran, began)
    summed, streams, names = _sums(ran)
    return Trace(
        steps=steps,
        wall_s=(busy + sum(end - start for start, end, _ in gaps)) / 1e6,
        kernel_s=busy / 1e6,
        summed_s=summed / 1e6,
        gap_s=sum(end - start for start, end, _ in gaps) / 1e6,
        host_s=sum(_late(start, end, launched.get(_correlation(event))) for start, end, event in gaps) / 1e6,
        long_s=sum(end - start for start, end, _ in gaps if end - start > LONG_US) / 1e6,
        kernels=len(ran),
        launches=launches,
        streams=streams,
        top=names,
    )


def lines(found: Trace) -> list[str]:
    """What a person reads."""
    wall, steps = found.wall_s, max(found.steps, 1)
    streams = ", ".join(f"stream {name} {1e3 * seconds:.1f} ms" for name, seconds in found.streams.items())
    said = [
        f"  epoch {1e3 * wall:.1f} ms, kernels {1e3 * found.kernel_s:.1f} ms ({found.kernel_s / wall:.2f});"
        f" gaps {1e3 * found.gap_s:.1f} ms ({found.gap_s / wall:.2f}), in gaps over 1 ms"
        f" {1e3 * found.long_s:.1f} ms; host-bound {1e3 * found.host_s:.1f} ms ({found.host_s / wall:.2f})",
        f"  {found.kernels / steps:.0f} kernels and {found.launches / steps:.0f} launches a step; by stream: {streams}",
    ]
    said += [
        f"  {1e3 * seconds:8.2f} ms {seconds / wall:5.2f} {count:6d} x {name[:90]}"
        for name, seconds, count in found.top
    ]
    return said


def _gaps(ran: Sequence[Event], began: float) -> tuple[float, list[tuple[float, float, Event]]]:
    """Microseconds in which something ran, and the gaps: from, to, and the event that ended it."""
    busy, until, gaps = 0.0, began, []
    for event in ran:
        start, end = float(event["ts"]), float(event["ts"]) + float(event["dur"])
        if start > until:
            gaps.append((until, start, event))
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy, gaps


def _late(start: float, end: float, launched: float | None) -> float:
    """How much of a gap was over before the kernel that ended it was launched."""
    return 0.0 if launched is None else max(0.0, min(end, launched) - start)


def _sums(ran: Sequence[Event]) -> tuple[float, dict[str, float], list[tuple[str, float, int]]]:
    streams: dict[str, float] = {}
    names: dict[str, tuple[float, int]] = {}
    for event in ran:
        stream, length = str(event.get("args", {}).get("stream", event.get("tid"))), float(event["dur"])
        streams[stream] = streams.get(stream, 0.0) + length / 1e6
        before, count = names.get(event["name"], (0.0, 0))
        names[event["name"]] = before + length, count + 1
    top = sorted(names.items(), key=lambda item: -item[1][0])[:TOP]
    ordered = dict(sorted(streams.items(), key=lambda item: -item[1]))
    return (
        sum(length for length, _ in names.values()),
        ordered,
        [(n, length / 1e6, c) for n, (length, c) in top],
    )


def _outermost(ops: Sequence[Event]) -> list[Event]:
    """Those of `ops` that no other called."""
    found: list[Event] = []
    until: dict[Any, float] = {}
    for event in sorted(ops, key=lambda event: (float(event["ts"]), -float(event["dur"]))):
        start, thread = float(event["ts"]), event.get("tid")
        if start >= until.get(thread, 0.0):
            found.append(event)
            until[thread] = start + float(event["dur"])
    return found


def _launches(name: str) -> bool:
    return "Launch" in name or "MemcpyAsync" in name or "MemsetAsync" in name


def _correlation(event: Event) -> Any:
    return event.get("args", {}).get("correlation")
