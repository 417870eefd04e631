"""Time and memory of `tuner inspect --similar` over many images, for `images.py`."""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

MODEL = "timm:tf_efficientnet_lite0"


def measure(folder: Path, count: int, size: int, weights: Path | None) -> None:
    """Time and memory of `inspect --similar` over so many images, in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
        random = np.random.default_rng(0)
        for number in range(count):
            file = files[number % len(files)]
            picture = cv2.imread(str(file))
            height, width = picture.shape[:2]
            side = int(random.uniform(0.6, 0.9) * min(height, width))
            top, left = (int(random.integers(0, space - side + 1)) for space in (height, width))
            cut = (picture[top : top + side, left : left + side] * random.uniform(0.8, 1.0)).astype(np.uint8)
            target = Path(place) / "images" / file.parent.name / f"{number:05d}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), cv2.resize(cut, (128, 128), interpolation=cv2.INTER_AREA))
        command = [sys.executable, "-m", "tuner", "inspect", str(Path(place) / "images"), "--similar"]
        command += ["--image-size", str(size), "--out", str(Path(place) / "out")]
        if weights is None:
            command += ["--weights", "none"]
        else:
            own = Path(place) / "weights"
            own.mkdir()
            (own / "tf_efficientnet_lite0.pt").symlink_to(weights)
            command += ["--backbone", MODEL, "--weights-dir", str(own)]
        started = time.perf_counter()
        environment = {**os.environ, "TUNER_CACHE_DIR": str(Path(place) / "cache")}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        wall = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told = re.search(r"images from .*: about (\S+),", done.stdout)
    took = re.search(r"features took (\S+)", done.stdout)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        "\n| images | foretold for features | they took | the whole command | memory at most |\n|---|---|---|---|---|"
    )
    print(
        f"| {count:,} | {told[1] if told else '-'} | {took[1] if took else '-'} | {wall / 60:.1f} min"
        f" | {peak:.2f} GB |",
        flush=True,
    )
