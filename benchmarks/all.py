"""Every benchmark, one after the other.

python benchmarks/all.py            python benchmarks/all.py --quick
"""

import subprocess
import sys
from pathlib import Path

NAMES = (
    "epoch",
    "frozen",
    "depthwise",
    "trials",
    "memory",
    "scale",
    "grid",
    "to_target",
    "losses",
    "race",
    "strategies",
    "policies",
    "probe_advice",
    "calibration",
    "calibration_coverage",
    "eight_bits",
    "images",
    "strangers",
)


def main() -> int:
    """Run all with the same options; the number of those that failed."""
    failed = 0
    for name in NAMES:
        print(f"\n==== {name}", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        failed += subprocess.run([sys.executable, str(script), *sys.argv[1:]], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
