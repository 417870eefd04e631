import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAST_ROWS = {
    "speed.epoch": "bound",
    "speed.frozen": "bound",
    "speed.trials": "Ray Tune, class, reuse_actors",
    "speed.around": "tuner ",
    "speed.memory": "study's loop",
    "speed.scale": "ratio",
    "speed.scale_images": "| growth",
    "speed.grid": "study's loop",
    "speed.to_target": "search, plain Ray",
    "speed.losses": "difference",
    "search.race": "| random, nobody stopped",
    "quality.policies": "| ensemble",
    "quality.calibration": "| groups alike",
    "statistics.calibration_coverage": "| 54 groups of 4",
    "speed.depthwise": "timm:tf_efficientnet_lite0, 32 px",
    "speed.folding": "as it comes",
    "quality.eight_bits": "| efficientnet_lite0",
    "quality.images": "| true groups",
    "quality.ood": "| late_blight",
}


@pytest.mark.slow
@pytest.mark.skipif(
    "TUNER_BENCHMARKS" not in os.environ,
    reason="takes about as long as all other tests; set TUNER_BENCHMARKS=1",
)
@pytest.mark.parametrize("name", LAST_ROWS)
def test_each_benchmark_runs_and_says_what_was_held_equal(name, tmp_path):
    said = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TUNER_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert said.returncode == 0, said.stderr[-2000:]
    rows = [line.strip() for line in said.stdout.splitlines()]
    assert any(row.startswith(LAST_ROWS[name]) for row in rows), said.stdout
    assert any(row.startswith("held equal: ") for row in rows)


def test_all_names_every_benchmark_of_this_folder_that_has_a_quick_mode():
    files = (ROOT / "benchmarks").rglob("*.py")
    quick = {
        f"{file.parent.name}.{file.stem}"
        for file in files
        if "parse(__doc__" in file.read_text(encoding="utf-8")
    }
    listed = (ROOT / "benchmarks" / "all.py").read_text(encoding="utf-8")
    assert quick == set(LAST_ROWS)
    assert all(f'"{name}"' in listed for name in quick)
