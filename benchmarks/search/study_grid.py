"""The study's GoogLeNet runs with EfficientNet-Lite0: leaves apart, then with the study's split by image.

    python -m benchmarks.search.study_grid --data FOLDER --groups CSV --out FOLDER

Trains the ten of `lite0_grid.py` from ImageNet weights on whole groups of the images, compares them on the test images,
trains each again as long on a random split by image, and prints the table and what the leak makes. The full study is
`--share 1 --epochs 50`.
"""

import argparse
import csv
import random
import sys
from collections import defaultdict
from pathlib import Path

from tuner.tuning.config import SearchConfig, search_config

HERE = Path(__file__).resolve().parent
NUM_RUNS = 10


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder a class")
    parser.add_argument("--groups", type=Path, required=True, help="CSV with columns path and group")
    parser.add_argument("--out", type=Path, required=True, help="where images, weights and the run go")
    parser.add_argument("--share", type=float, default=0.25, help="of every class's groups")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--split", default="0.6,0.15,0.25")
    return parser.parse_args()


def chosen_images(data: Path, groups: Path, share: float, target: Path) -> Path:
    """A folder of links to the images of a share of every class's groups, always the same; at least eight."""
    with groups.open(encoding="utf-8") as file:
        group_of = {row["path"]: row["group"] for row in csv.DictReader(file)}
    members: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, group in group_of.items():
        if (data / path).is_file():
            members[path.partition("/")[0]][group].append(path)
    for label, by_group in members.items():
        names = sorted(by_group)
        random.Random(0).shuffle(names)
        for group in names[: max(8, round(share * len(names)))]:
            for path in by_group[group]:
                link = target / path
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.exists():
                    link.symlink_to((data / path).resolve())
        print(
            f"{label}: {len(list((target / label).iterdir()))} of {sum(map(len, by_group.values()))} images"
        )
    return target


def config_of(asked: argparse.Namespace, folder: Path) -> SearchConfig:
    """The search; nothing of it is left to chance but the seeds."""
    return search_config(
        space=str(HERE / "lite0_grid.py"),
        data=folder,
        groups=asked.groups,
        split=asked.split,
        max_epochs=asked.epochs,
        image_size=asked.size,
        weights=str(asked.out / "lite0.pt"),
        runs_dir=asked.out,
        name="study",
        keep=NUM_RUNS,
        dashboard=False,
    )


def main() -> None:
    """Search, compare, train again by image, print."""
    asked = options()
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    from pretrained import write_lite_weights

    from tuner.cluster.session import ray_session
    from tuner.cluster.signals import Signals
    from tuner.evaluation.compare import compare
    from tuner.evaluation.comparison.finalists import choose_finalists
    from tuner.evaluation.comparison.table import markdown
    from tuner.evaluation.retrained.by_image import by_image_scores
    from tuner.runs.directory import Run
    from tuner.tuning.loop import search

    asked.out.mkdir(parents=True, exist_ok=True)
    folder = chosen_images(asked.data, asked.groups, asked.share, asked.out / "images")
    run = asked.out / "study"
    if not run.exists():
        write_lite_weights(asked.out / "lite0.pt")
        search(config_of(asked, folder))
    opened = Run.open(run)
    finalists, _ = choose_finalists([opened], NUM_RUNS)
    with (
        Signals(raises=True) as signals,
        ray_session(config_of(asked, folder), signals) as session,
    ):
        by_image = by_image_scores(finalists, session)
    found = compare([run], top=NUM_RUNS, by_image=by_image)
    print(markdown(found))
    print(f"\nreport: {found.report}")


if __name__ == "__main__":
    main()
