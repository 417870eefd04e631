"""What this machine and its software are, for the run's record; imports none of what it names."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "tuner",
    "torch",
    "torchvision",
    "timm",
    "ray",
    "optuna",
    "numpy",
    "pandas",
    "pyarrow",
    "opencv-python-headless",
    "pillow",
)


def versions() -> dict[str, str]:
    """Version of Python and of each package that can change a result; absent ones are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, usable cores, memory in GiB, GPUs by name."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": _gpus(),
    }


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_bytes() -> int:
    """The most memory that this process ever held; 0 where the system does not tell.

    Linux lets the mark be reset (`/proc/self/clear_refs`), which getrusage does not see.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return 0
    # Bytes on macOS, kilobytes elsewhere.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def usual_ray_folder() -> Path:
    """Where a Ray keeps its sessions unless it is told otherwise."""
    chosen = os.environ.get("RAY_TMPDIR")
    if not chosen and sys.platform.startswith("linux"):
        chosen = os.environ.get("TMPDIR")
    return Path(chosen or "/tmp") / "ray"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _gpus() -> list[str]:
    """Names of NVIDIA GPUs by the driver's own files; run on an NVIDIA H200."""
    names = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                names.append(line.split(":", 1)[1].strip())
    return names
