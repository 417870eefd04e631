"""How busy the GPUs are while something runs: NVML's or nvidia-smi's own figure, sampled by a thread.

NVIDIA's driver counts a GPU as busy while at least one kernel runs on it, however small. With pynvml (the package
nvidia-ml-py) it is asked directly, else `nvidia-smi` prints it line by line. Neither computes on the GPU.
"""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

EVERY_S = 0.1
"""Between two samples; NVML's figure is a mean over the last sixth of a second to a second."""

Sample = tuple[float, float, float]
"""When (time.time), the busy share in 0..1 as a mean over the GPUs, and the most memory in use on one, in GiB."""

Read = Callable[[], tuple[float, float]]


@dataclass
class Busy:
    """What was sampled, and `source`, which says by what, or why nothing was."""

    source: str
    samples: list[Sample] = field(default_factory=list)

    def share(self, began: float, ended: float) -> float | None:
        """The mean busy share between two moments of time.time; None without a sample in between."""
        found = [busy for when, busy, _ in self.samples if began <= when <= ended]
        return sum(found) / len(found) if found else None

    def peak_gib(self) -> float | None:
        """The most memory that was in use on one GPU."""
        return max((memory for _, _, memory in self.samples), default=None)


@contextlib.contextmanager
def busy_gpus(device: str) -> Iterator[Busy]:
    """Samples while it is entered; on a processor it says that there is nothing to sample."""
    if device != "cuda":
        yield Busy("absent: no GPU is used")
        return
    for make in (_by_nvml, _by_nvidia_smi):
        with contextlib.ExitStack() as stack:
            try:
                source, read = make(stack)
            except (ImportError, OSError, RuntimeError) as error:
                reason = f"{type(error).__name__}: {error}"
                continue
            busy = Busy(source)
            stack.enter_context(_sampled(busy, read))
            yield busy
            return
    yield Busy(f"absent: neither pynvml nor nvidia-smi answers ({reason})")


@contextlib.contextmanager
def _sampled(busy: Busy, read: Read) -> Iterator[None]:
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(EVERY_S):
            try:
                busy.samples.append((time.time(), *read()))
            except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
                busy.source += f", until it failed: {error}"
                return

    thread = threading.Thread(target=sample, name="busy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(2 * EVERY_S + 1)


def _by_nvml(stack: contextlib.ExitStack) -> tuple[str, Read]:
    import pynvml

    try:
        pynvml.nvmlInit()
        stack.callback(pynvml.nvmlShutdown)
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in visible(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        raise RuntimeError(str(error)) from error
    if not handles:
        raise RuntimeError("NVML knows no GPU")

    def read() -> tuple[float, float]:
        try:
            rates = [pynvml.nvmlDeviceGetUtilizationRates(handle).gpu for handle in handles]
            used = [pynvml.nvmlDeviceGetMemoryInfo(handle).used for handle in handles]
        except pynvml.NVMLError as error:
            raise RuntimeError(str(error)) from error
        return sum(rates) / len(rates) / 100, max(used) / 2**30

    return "NVML", read


def _by_nvidia_smi(stack: contextlib.ExitStack) -> tuple[str, Read]:
    program = shutil.which("nvidia-smi")
    if program is None:
        raise RuntimeError("there is no nvidia-smi")

    def ask() -> str:
        asked = [program, "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
        found = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
        if found.returncode:
            raise RuntimeError(found.stderr.strip() or found.stdout.strip())
        return found.stdout

    parse_smi(ask())
    return "nvidia-smi", lambda: parse_smi(ask())


def parse_smi(text: str) -> tuple[float, float]:
    """Busy share and memory in GiB of what nvidia-smi printed: a line a GPU, percent and MiB."""
    rows = [[float(value) for value in line.split(",")] for line in text.splitlines() if line.strip()]
    chosen = [rows[i] for i in visible(len(rows))]
    return sum(row[0] for row in chosen) / len(chosen) / 100, max(row[1] for row in chosen) / 1024


def visible(count: int) -> Sequence[int]:
    """Which of `count` GPUs this process may use, by CUDA_VISIBLE_DEVICES; all where it names none by number."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    found = [int(name) for name in named if name.strip().isdigit() and int(name) < count]
    return found or range(count)
