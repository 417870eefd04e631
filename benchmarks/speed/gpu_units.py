"""What `gpu_search.py` measures: its units in order, how each is measured and said, and the file of what is known."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PARTS = ("search", "checks", "gap", "probe", "fp16", "deploy")
PACKINGS = ("1", "auto", "4", "2")
SEARCHED = (
    "timm:mobilenetv4_conv_small.e2400_r224_in1k",
    "timm:resnet18.a1_in1k",
    "timm:convnext_nano.in12k_ft_in1k",
)
"""What the searches train: as many of the space auto's candidates as its probe advises, small to middling."""
GAP_MODELS = ("googlenet", "resnet50", "timm:convnext_nano", "timm:vit_small_patch16_224")
GAP_BATCHES = (128, 32)
QUICK_MODEL = "timm:test_resnet"


@dataclass(frozen=True)
class Setting:
    """What is measured, and on what; results of another setting don't count."""

    device: str
    images: int
    trials: int
    epochs: int
    size: int
    models: tuple[str, ...]
    repeats: int
    quick: bool

    def key(self) -> str:
        """The same as one text."""
        return json.dumps(vars(self))


def units(setting: Setting, parts: Sequence[str]) -> list[str]:
    """The names of all that `parts` measure, the most valuable first."""
    batches, models = ((8,), (QUICK_MODEL,)) if setting.quick else (GAP_BATCHES, GAP_MODELS)
    every = {
        "search": [f"search:{number}" for number in PACKINGS],
        "gap": [f"gap:{model}@{batch}" for batch in batches for model in models],
    }
    return [name for part in PARTS if part in parts for name in every.get(part, [part])]


def measure(unit: str, setting: Setting, seconds: float) -> dict[str, Any]:
    """Measure one unit in this process."""
    part, _, of = unit.partition(":")
    makers: Mapping[str, Callable[[str, Setting, float], dict[str, Any]]] = {
        "search": _search,
        "checks": _checks,
        "gap": _gap,
        "probe": _probe,
        "fp16": _fp16,
        "deploy": _deploy,
    }
    return makers[part](of, setting, seconds)


def line(unit: str, found: Mapping[str, Any]) -> str:
    """The result of a unit in a line."""
    part = unit.partition(":")[0]
    if part == "checks":
        return str(found["said"])
    if part == "search":
        from benchmarks.speed.gpu_packing import line as said
    elif part == "gap":
        from benchmarks.speed.gpu_gap import line as said
    elif part == "probe":
        from benchmarks.speed.gpu_others import probe_line as said
    elif part == "fp16":
        from benchmarks.speed.gpu_others import precisions_line as said
    else:
        from benchmarks.speed.gpu_others import deployment_line as said
    return str(said(dict(found)))


def _search(of: str, setting: Setting, seconds: float) -> dict[str, Any]:
    from benchmarks.speed.gpu_packing import Search, measure_search

    job = Search(
        setting.images, setting.trials, setting.epochs, setting.size, setting.models, setting.device, of
    )
    return measure_search(job, seconds)


def _checks(of: str, setting: Setting, seconds: float) -> dict[str, Any]:
    """The last line of pytest; on a processor the tests run on that, without those that start Ray where it is quick."""
    chosen = ["-m", "not ray"] if setting.quick else []
    asked = ["-v", "-n", "0", "-p", "no:cacheprovider", *chosen, "tests/trainables/test_on_a_gpu.py"]
    environment = {**os.environ, "TUNER_TEST_DEVICE": setting.device, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pytest", *asked]
    last = ""
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for said in process.stdout or ():
            print(said, end="", flush=True)
            last = said.strip(" =\n") or last
    return {"said": last, "passed": process.returncode == 0}


def _gap(of: str, setting: Setting, seconds: float) -> dict[str, Any]:
    from benchmarks.speed.gpu_contenders import Job, drawn_pictures
    from benchmarks.speed.gpu_gap import measure_gap

    model, batch = of.split("@")
    count = 24 if setting.quick else 1024
    with drawn_pictures(count, max(8, count // 8)) as pictures:
        job = Job(pictures, model, int(batch), setting.size, setting.device, 0)
        return measure_gap(job, setting.repeats)


def _probe(of: str, setting: Setting, seconds: float) -> dict[str, Any]:
    from benchmarks.speed.gpu_others import CANDIDATES, measure_probe

    names = (QUICK_MODEL,) if setting.quick else CANDIDATES
    return measure_probe(setting.images, setting.size, names, setting.device)


def _fp16(of: str, setting: Setting, seconds: float) -> dict[str, Any]:
    from benchmarks.speed.gpu_contenders import Job, drawn_pictures
    from benchmarks.speed.gpu_others import measure_precisions

    model, count = (QUICK_MODEL, 24) if setting.quick else ("googlenet", 1024)
    with drawn_pictures(count, max(8, count // 8)) as pictures:
        job = Job(pictures, model, 8 if setting.quick else 32, setting.size, setting.device, 0)
        return measure_precisions(job, setting.repeats)


def _deploy(of: str, setting: Setting, seconds: float) -> dict[str, Any]:
    from benchmarks.speed.gpu_others import measure_deployment

    return measure_deployment(QUICK_MODEL if setting.quick else "googlenet", setting.size, setting.device)


def read_results(path: Path, setting: Setting) -> dict[str, dict[str, Any]]:
    """What `path` holds for `setting`, by unit; a line that was torn by a cut is passed over."""
    found = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = json.loads(text)
        except ValueError:
            continue
        if record["setting"] == setting.key():
            found[record["unit"]] = record
    return found


def keep(path: Path, unit: str, setting: Setting, found: Mapping[str, Any]) -> None:
    """Append what a unit found to `path`, with card, commit and torch."""
    import torch

    name = torch.cuda.get_device_name() if setting.device == "cuda" else "no GPU, a processor alone"
    kept = {"unit": unit, "setting": setting.key(), "machine": name, "commit": _commit(), "found": found}
    text = json.dumps({**kept, "torch": torch.__version__, "time": time.time()}, default=str)
    with path.open("a", encoding="utf-8") as file:
        # After a line that a cut has torn this one begins anew.
        file.write(f"\n{text}\n" if _is_torn(path) else f"{text}\n")


def _is_torn(path: Path) -> bool:
    return path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def print_tables(known: Mapping[str, Mapping[str, Any]]) -> None:
    """All that is known, with ratios against the named base and bound."""
    from benchmarks.common import print_table

    searches = {unit.split(":")[1]: one["found"] for unit, one in known.items() if unit.startswith("search:")}
    hourly = {
        f"{number} on a GPU": found["trials_an_hour"]
        for number, found in searches.items()
        if "trials_an_hour" in found
    }
    if "1 on a GPU" in hourly:
        bound = "bound: 1 on a GPU, no gaps"
        hourly[bound] = searches["1"]["bound_trials_an_hour"]
        best = max(hourly[name] for name in hourly if name != bound and not name.startswith("auto"))
        print_table("whole searches", "trials/h", hourly, ("1 on a GPU", bound))
        if "auto on a GPU" in hourly:
            print(f"auto reaches {hourly['auto on a GPU'] / best:.2f} of the best of the others")
    print("\neverything that is known:")
    for unit, one in known.items():
        print(f"[{unit}] {line(unit, one['found'])}")
    machines = {f"{one['machine']}, torch {one['torch']}, commit {one['commit']}" for one in known.values()}
    print(*(f"machine: {machine}" for machine in sorted(machines)), sep="\n", flush=True)
