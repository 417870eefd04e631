"""Everything on a GPU beyond single epochs: whole searches, the gap to the bound, fp16, full memory, probe, deployment.

    python -m benchmarks.speed.gpu_search --all --minutes 9
    python -m benchmarks.speed.gpu_search --part search gap

The most valuable figures come first, so that a GPU that is lent for minutes gives them before it is gone. Every line is
printed as soon as it is known. What was measured is appended to the file of `--results`; called again with it, the
program prints what is known and goes on with the rest, also on another machine of the same kind. No part is begun when
`--minutes` are over; a search is interrupted at its limit and its figures are those of the trials that ended.

  search   24 trials through Ray on 1,000 drawn images: one, `auto`, four and two trials on a GPU
  checks   tests/trainables/test_on_a_gpu.py: fp16, full memory, a killed worker, a resume
  gap      tuner and the bound at batch 128 and 32, taken apart by torch.profiler
  probe    ten candidates, the features of the images by themselves, and the forward bound
  fp16     an epoch in fp32, bf16 and fp16
  deploy   the exported files' answers on the GPU beside the processor's

Needs all that tuner needs. With `--device cpu --quick` it runs without a GPU, to see that it does; its figures then
mean nothing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.speed.gpu_units import (  # noqa: E402
    PARTS,
    QUICK_MODEL,
    SEARCHED,
    Setting,
    keep,
    line,
    measure,
    print_tables,
    read_results,
    units,
)

LIMITS = {"search": 150.0, "checks": 150.0, "gap": 45.0, "probe": 120.0, "fp16": 60.0, "deploy": 60.0}
"""Seconds that one unit of a part may take on a GPU; a search is then interrupted, others are ended."""
SLOWER = 6.0
"""By how much longer all of that may take on a processor."""
GRACE_S = 25.0
"""What a search that was interrupted may take to write and print."""
LEAST_S = 20.0
"""With less than this left no unit is begun."""


def run_in_order(names: Sequence[str], setting: Setting, options: argparse.Namespace) -> int:
    """Each unit in a process of its own, as long as time is left; how many failed."""
    began, failed = time.monotonic(), 0
    for unit in names:
        known = read_results(options.results, setting)
        if unit in known:
            print(f"[{unit}] known: {line(unit, known[unit]['found'])}", flush=True)
            continue
        left = 60 * options.minutes - (time.monotonic() - began)
        seconds = min(LIMITS[unit.partition(":")[0]] * (SLOWER if setting.device == "cpu" else 1.0), left)
        if seconds < LEAST_S:
            print(f"[{unit}] not begun: the {options.minutes:g} minutes are over", flush=True)
            continue
        print(f"[{unit}] begins, at most {seconds:.0f} s", flush=True)
        started = time.monotonic()
        ended = _apart(unit, setting, options, seconds)
        failed += not ended
        verdict = "done" if ended else "FAILED or cut"
        print(f"[{unit}] {verdict} after {time.monotonic() - started:.0f} s", flush=True)
    print_tables(read_results(options.results, setting))
    return failed


def _apart(unit: str, setting: Setting, options: argparse.Namespace, seconds: float) -> bool:
    """Whether the unit came to its end in another process, which is ended with all that it started if it hangs."""
    given = [
        f"--{name}={getattr(setting, name)}" for name in ("device", "images", "trials", "epochs", "size")
    ]
    given += [f"--repeats={setting.repeats}", f"--results={options.results}", "--models", *setting.models]
    given += ["--quick"] if setting.quick else []
    command = [sys.executable, "-m", "benchmarks.speed.gpu_search", f"--unit={unit}", f"--seconds={seconds}"]
    process = subprocess.Popen([*command, *given], cwd=ROOT)
    try:
        limit = seconds + (GRACE_S if unit.startswith("search") else 0.0)
        return process.wait(timeout=limit) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    import psutil

    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for one in below:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def _options() -> argparse.Namespace:
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--all", action="store_true", help="every part, in the order above")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=[], help="some of them")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which nothing is begun")
    parser.add_argument(
        "--results", type=Path, default=Path("gpu-search.jsonl"), help="what is known already"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default=here, help=f"here {here}")
    parser.add_argument("--images", type=int, default=1000, help="of searches and of the probe")
    parser.add_argument("--trials", type=int, default=24, help="of a search")
    parser.add_argument("--epochs", type=int, default=12, help="of a trial at most")
    parser.add_argument("--size", type=int, default=224, help="pixels a side")
    parser.add_argument("--models", nargs="+", default=SEARCHED, help="of the searches")
    parser.add_argument("--repeats", type=int, default=3, help="measurements, of which the median counts")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; means nothing")
    parser.add_argument("--unit", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=600.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.all or options.part or options.unit):
        parser.error("say --all or --part")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no NVIDIA GPU here; --device cpu runs without")
    options.results = options.results.absolute()
    if options.quick:
        options.images, options.trials, options.epochs, options.size = 60, 2, 2, 64
        options.models, options.repeats = (QUICK_MODEL,), 1
    return options


def main() -> int:
    """Measure one unit, or all that are asked for."""
    options = _options()
    setting = Setting(
        options.device,
        options.images,
        options.trials,
        options.epochs,
        options.size,
        tuple(options.models),
        options.repeats,
        options.quick,
    )
    if options.unit is None:
        try:
            return run_in_order(units(setting, PARTS if options.all else options.part), setting, options)
        except KeyboardInterrupt:
            print(f"cut; the same command goes on with what {options.results} lacks", flush=True)
            return 130
    with tempfile.TemporaryDirectory() as place:
        os.environ.setdefault("TUNER_CACHE_DIR", place)
        try:
            found = measure(options.unit, setting, options.seconds)
        except ModuleNotFoundError as error:
            print(f"[{options.unit}] skipped: the package {error.name} is not installed here", flush=True)
            return 1
    keep(options.results, options.unit, setting, found)
    print(f"[{options.unit}] {line(options.unit, found)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
