"""The part `search` of `gpu_search.py`: one whole search through Ray, with so many trials on a GPU.

Trials an hour, how busy the GPU was, and the seconds between two trials of a worker: from the end of the validation of
a trial's last epoch until the next trial's model is built and its first step begins.
"""

import contextlib
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.speed.gpu_busy import Busy, busy_gpus
from benchmarks.speed.gpu_contenders import CLASSES, SIDE
from benchmarks.speed.gpu_notes import FOLDER, Note, Noted, first_epochs, gaps, read_notes

AUTO = "auto"


@dataclass(frozen=True)
class Search:
    """What is searched: images, trials of so many epochs, pixels a side, models, and the trials on one GPU."""

    images: int
    trials: int
    epochs: int
    size: int
    models: tuple[str, ...]
    device: str
    per_gpu: str


def draw_folder(folder: Path, count: int) -> Path:
    """`count` noisy pictures of 256 px in class folders; a weak tint tells the class."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = number % len(CLASSES)
        path = folder / CLASSES[place] / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 200, (16, 16, 3)) + 25 * np.eye(3, dtype=np.int64)[place]
        cv2.imwrite(
            str(path), cv2.resize(coarse.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        )
    return folder


def measure_search(job: Search, seconds: float) -> dict[str, Any]:
    """Search and print each trial as it ends; the figures, also of a search that `seconds` cut short."""
    with tempfile.TemporaryDirectory(prefix="gpu-search-") as place:
        folder = Path(place)
        os.environ["TUNER_CACHE_DIR"] = str(folder / "cache")
        images = draw_folder(folder / "images", job.images)
        with _gpu(job) as how, busy_gpus(job.device) as busy, _in_time(seconds):
            began = time.time()
            run, packed = _search(job, images, folder, began)
            whole = time.time() - began
        found = figures(read_notes(run), _ended(run), whole, busy)
        return {**found, "busy_by": busy.source, "note": how, **packed}


def _search(job: Search, images: Path, folder: Path, began: float) -> tuple[Path, dict[str, Any]]:
    """The run directory, and what `auto` chose."""
    from tuner.tuning.config import search_config
    from tuner.tuning.loop import execute
    from tuner.tuning.prepare import prepare

    prepared = prepare(
        search_config(
            data=images,
            weights="none",
            models=job.models,
            samples=job.trials,
            max_epochs=job.epochs,
            image_size=job.size,
            gpus_per_trial=AUTO if job.per_gpu == AUTO else 1 / int(job.per_gpu),
            folds=0,
            runs_dir=folder,
            name="run",
            dashboard=False,
        )
    )
    (prepared.run.path / FOLDER).mkdir(exist_ok=True)
    with _said(began, prepared.run.path):
        result = execute(prepared, trainable=Noted)
    packing = result.run.record.get("packing") or {}
    found: dict[str, Any] = {"complete": not result.interrupted}
    if packing:
        found["auto"] = packing["trials_per_gpu"]
        found["auto_uses"] = packing["uses"]
    errors = result.trials["error"].dropna().tolist()
    if errors:
        found["failed"] = len(errors)
        print(
            f"{len(errors)} trials failed; the first: {str(errors[0]).strip().splitlines()[-1]}", flush=True
        )
    return prepared.run.path, found


def figures(notes: Sequence[Note], ended: int, whole: float, busy: Busy) -> dict[str, Any]:
    """What the notes of `ended` trials say, of a search that took `whole` seconds with Ray's start."""
    if not notes:
        return {"trials": ended, "whole_s": whole}
    began, last = notes[0].began, max(note.ended for note in notes)
    training = sum(note.ended - note.began for note in notes)
    between = gaps(notes)
    return {
        "trials": ended,
        "epochs": len(notes),
        "whole_s": whole,
        "training_s": last - began,
        "start_s": whole - (last - began),
        "trials_an_hour": 3600 * ended / (last - began),
        "whole_trials_an_hour": 3600 * ended / whole,
        "epochs_an_hour": 3600 * len(notes) / (last - began),
        "bound_trials_an_hour": 3600 * ended / training,
        "workers": len({note.worker for note in notes}),
        "between_s": _median([gap.seconds for gap in between]),
        "between_most_s": max((gap.seconds for gap in between), default=None),
        "building_s": _median([gap.building for gap in between]),
        "first_epoch_s": _median(first_epochs(notes)),
        "busy": busy.share(began, last),
        "memory_gib": busy.peak_gib(),
    }


def line(found: dict[str, Any]) -> str:
    """One search in a line."""

    def shown(name: str, unit: str = "") -> str:
        value = found.get(name)
        return "-" if value is None else f"{value:.3g}{unit}"

    auto = f"; auto chose {found['auto']} on a GPU" if "auto" in found else ""
    cut = "" if found.get("complete", True) else "cut: "
    return (
        f"{cut}{found['trials']} trials, {found.get('epochs', 0)} epochs in {shown('training_s', ' s')}"
        f" ({shown('whole_s', ' s')} with all starts): {shown('trials_an_hour')} trials/h, {shown('epochs_an_hour')}"
        f" epochs/h; GPU busy {shown('busy')} ({found['busy_by']}), {shown('memory_gib', ' GiB')};"
        f" between trials {shown('between_s', ' s')} (most {shown('between_most_s', ' s')}, of it the model"
        f" {shown('building_s', ' s')}); a first epoch is {shown('first_epoch_s', ' s')} longer{auto}"
    )


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _ended(run: Path) -> int:
    from tuner.runs.directory import Run

    table = Run(run).trials()
    return int(table["status"].isin(["completed", "stopped"]).sum()) if len(table) else 0


@contextlib.contextmanager
def _said(began: float, run: Path) -> Iterator[None]:
    """A line every few seconds about how far the search is, so that a run that is cut has said something."""
    stop = threading.Event()

    def say() -> None:
        before = -1
        while not stop.wait(5):
            notes = read_notes(run)
            if len(notes) > before:
                before = len(notes)
                trials, changes = len({note.trial for note in notes}), gaps(notes)
                between = _median([gap.seconds for gap in changes])
                shown = "" if between is None else f", {between:.2f} s between trials"
                print(
                    f"  {time.time() - began:.0f} s: {trials} trials begun, {before} epochs{shown}",
                    flush=True,
                )

    thread = threading.Thread(target=say, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(6)


@contextlib.contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """After `seconds` the search is interrupted as a person would."""
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        # It came before the search listened, or after.
        raise RuntimeError(f"no search within {seconds:.0f} s") from None
    finally:
        timer.cancel()


@contextlib.contextmanager
def _gpu(job: Search) -> Iterator[str]:
    """On a processor a GPU that Ray alone believes in, and a measurement for `auto` that is made up."""
    if job.device == "cuda":
        yield "a Ray of its own"
        return
    import ray

    from tuner.tuning import packing
    from tuner.tuning.packing import Use

    measured = packing.probe_on_ray
    made_up: Callable[[Any], Callable[[Any], Use]] = lambda context: lambda config: Use(2**30, 0.5, 2**33)  # noqa: E731
    ray.init(
        address="local",
        num_cpus=4,
        num_gpus=1,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    setattr(packing, "probe_on_ray", made_up)  # noqa: B010
    try:
        yield "a GPU that Ray alone believes in; what auto measures is made up"
    finally:
        setattr(packing, "probe_on_ray", measured)  # noqa: B010
        ray.shutdown()
