"""Every benchmark, one after the other.

python -m benchmarks.all            python -m benchmarks.all --quick
"""

import subprocess
import sys

NAMES = (
    "speed.epoch",
    "speed.frozen",
    "speed.depthwise",
    "speed.folding",
    "speed.trials",
    "speed.around",
    "speed.memory",
    "speed.scale",
    "speed.scale_images",
    "speed.grid",
    "speed.to_target",
    "speed.losses",
    "search.race",
    "quality.policies",
    "quality.calibration",
    "statistics.calibration_coverage",
    "quality.eight_bits",
    "quality.images",
    "quality.ood",
)


def main() -> int:
    """Run all with the same options; the number of those that failed."""
    failed = 0
    for name in NAMES:
        print(f"\n==== {name}", flush=True)
        module = f"benchmarks.{name}"
        failed += subprocess.run([sys.executable, "-m", module, *sys.argv[1:]], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
